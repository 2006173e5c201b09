"""What is applied for given images. Pure."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from infra.images.targets import TARGETS
from shared.errors import BadInput

Object = Mapping[str, Any]
Images = Mapping[str, str]
"""The image of each target, by its name in a registry."""

_DIGEST: Final = "IMAGE_DIGEST"
_IMAGE: Final = re.compile(r"[a-z0-9][a-z0-9._:/-]*(@sha256:[0-9a-f]{64}|:[\w][\w.-]{0,127})", re.ASCII)


_PLACEHOLDER: Final = f"@sha256:{'0' * 64}"
"""What an overlay says of an image that nobody has named yet."""


def read_images(text: str) -> dict[str, str]:
    """Return the images that JSON names: {"score": "registry.example/marquee/score@sha256:..."}.

    What the images' builder writes is taken, too: of each its place in a registry, or, if it was not pushed to one, its
    name on this machine. Raises: BadInput naming what is wrong.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadInput(f"the images are no JSON: {error}") from None
    if not isinstance(found, dict) or not found:
        raise BadInput('the images are no JSON object such as {"score": "registry.example/marquee/score@sha256:..."}')
    named = {target: _named(told) for target, told in found.items()}
    for target, image in named.items():
        if not isinstance(image, str) or not _IMAGE.fullmatch(image):
            raise BadInput(f"{target}: {str(image)[:100]!r} is no image with a digest or a tag")
    return named


def _named(told: Any) -> Any:
    return told.get("pushed") or told.get("image") if isinstance(told, Mapping) else told


def with_images(documents: Sequence[Object], images: Images, live: Mapping[str, Object]) -> list[Object]:
    """Return manifests whose containers run these images, each by the last part of the name that it had.

    A container is told the digest that it runs: whatever a function makes says so.

    A Knative Service that is there, in `live` by its name, keeps the image that it has if none of these is its. One of
    our images that no manifest runs, such as that of the event source where Knative has sources, is left out.
    Raises: BadInput if a target is unknown, or what is to run has no image yet.
    """
    used = {target for document in documents for target in map(target_of, _images(document))}
    if unknown := images.keys() - used - TARGETS.keys():
        raise BadInput(f"no manifest runs {', '.join(sorted(unknown))}")
    found = [_replaced(each, {**_kept(each, live), **images}) for each in documents]
    if unnamed := {target_of(image) for each in found for image in _images(each) if image.endswith(_PLACEHOLDER)}:
        raise BadInput(
            f"the images name no {', '.join(sorted(unnamed))}, which does not run yet: build it, and name it"
        )
    return found


def _kept(document: Object, live: Mapping[str, Object]) -> Images:
    """Return the image that a Knative Service runs, if it is there."""
    there = [live[name] for name in knative_services([document]) if name in live]
    return {target_of(first_image(document)): first_image(each) for each in there}


def _replaced(value: Any, images: Images) -> Any:
    if isinstance(value, list):
        return [_replaced(each, images) for each in value]
    if not isinstance(value, Mapping):
        return value
    whole = {key: _replaced(each, images) for key, each in value.items()}
    image = images.get(target_of(str(whole.get("image", ""))))
    return whole | _running(image, whole.get("env", [])) if image else whole


def _images(value: Any) -> Iterator[str]:
    """Yield every image in a manifest."""
    if isinstance(value, list):
        for each in value:
            yield from _images(each)
    if isinstance(value, Mapping):
        if isinstance(image := value.get("image"), str):
            yield image
        for each in value.values():
            yield from _images(each)


def _running(image: str, env: Iterable[Object]) -> dict[str, Any]:
    """Return what a container says of its image, and is told of it."""
    digest = image.partition("@")[2]
    others = [each for each in env if each["name"] != _DIGEST]
    return {"image": image, "env": [*others, *([{"name": _DIGEST, "value": digest}] if digest else [])]}


def target_of(image: str) -> str:
    """Return the last part of an image's name, without digest and tag."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def knative_services(documents: Iterable[Object]) -> list[str]:
    """Return the names of the Knative Services, in order."""
    return [
        each["metadata"]["name"]
        for each in documents
        if each["kind"] == "Service" and each["apiVersion"].startswith("serving.knative.dev/")
    ]


def without(documents: Iterable[Object], services: Sequence[str]) -> list[Object]:
    """Return the manifests without some Knative Services."""
    return [each for each in documents if not (knative_services([each]) and each["metadata"]["name"] in services)]


def setting(documents: Iterable[Object], name: str, default: float) -> float:
    """Return a number that functions are told by the manifests, or its default. Raises: BadInput if it is none."""
    for each in documents:
        if each["kind"] == "ConfigMap" and each["metadata"]["name"] == "marquee-settings":
            try:
                return float(each["data"].get(name, default))
            except ValueError:
                raise BadInput(f"{name} is {each['data'][name]!r} in marquee-settings, and no number") from None
    return default


def first_image(service: Object) -> str:
    """Return the image of a Service's first container."""
    return str(service["spec"]["template"]["spec"]["containers"][0].get("image", ""))


def readiness(service: Object) -> tuple[bool | None, str]:
    """Return whether what a Service asks for is ready: True, False once it failed, None until then; and why not."""
    status = service.get("status", {})
    if status.get("observedGeneration") != service["metadata"]["generation"]:
        return None, "Knative has not looked at it yet"
    for each in status.get("conditions", []):
        if each["type"] == "Ready":
            return {"True": True, "False": False}.get(each["status"]), each.get("message") or each.get("reason", "")
    return None, "nothing is known of it yet"

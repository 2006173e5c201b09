"""What is applied for given images. Pure."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from shared.errors import BadInput

Object = Mapping[str, Any]
Images = Mapping[str, str]
"""The image of each target, by its name in a registry."""

_DIGEST: Final = "IMAGE_DIGEST"
_IMAGE: Final = re.compile(r"[a-z0-9][a-z0-9._:/-]*(@sha256:[0-9a-f]{64}|:[\w][\w.-]{0,127})", re.ASCII)


def read_images(text: str) -> dict[str, str]:
    """Return the images that JSON names: {"score": "registry.example/marquee/score@sha256:..."}.

    Raises: BadInput naming what is wrong.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadInput(f"the images are no JSON: {error}") from None
    if not isinstance(found, dict) or not found:
        raise BadInput('the images are no JSON object such as {"score": "registry.example/marquee/score@sha256:..."}')
    for target, image in found.items():
        if not isinstance(image, str) or not _IMAGE.fullmatch(image):
            raise BadInput(f"{target}: {str(image)[:100]!r} is no image with a digest or a tag")
    return found


def with_images(documents: Iterable[Object], images: Images) -> list[Object]:
    """Return manifests whose containers run these images, each by the last part of the name that it had.

    A container is told the digest that it runs: whatever a function makes says so.

    Raises: BadInput if a target is no manifest's.
    """
    used: set[str] = set()

    def replaced(value: Any) -> Any:
        if isinstance(value, list):
            return [replaced(each) for each in value]
        if not isinstance(value, Mapping):
            return value
        whole = {key: replaced(each) for key, each in value.items()}
        target = target_of(str(whole.get("image", "")))
        if target in images:
            used.add(target)
            whole |= _running(images[target], whole.get("env", []))
        return whole

    found = [replaced(document) for document in documents]
    unknown = images.keys() - used
    if unknown:
        raise BadInput(f"no manifest runs {', '.join(sorted(unknown))}")
    return found


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

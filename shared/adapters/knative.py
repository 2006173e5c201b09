"""Knative Services: where requests go, as their status says, and which revisions shall be there, in their spec."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from tenacity import Retrying, retry_if_exception_type, retry_if_not_exception_type, stop_after_attempt

from shared import shares as rules
from shared.adapters.kubernetes import Api
from shared.errors import BadSettings, Conflict, Corrupt, NotFound, NotReady
from shared.ports import ByHand, Deployed, Made, Share, Target

GROUP: Final = "serving.knative.dev/v1"

UNTAGGED: Final = "stable"
"""The tag of a revision that has all traffic and none of its own."""

MODEL: Final = "MODEL_VERSION"
"""The variable by which a revision is pinned to a model."""

ASKED: Final = "marquee.rollout/traffic"
"""The annotation of a Service that says which traffic was asked for here: if there is another, it is by hand."""

_ATTEMPTS: Final = 3
_READY: Final[Mapping[str, bool | None]] = {"True": True, "False": False, "Unknown": None}

Object = Mapping[str, Any]


@dataclass(frozen=True)
class KnativeServices:
    """The Knative Services of a namespace as `Traffic` and as `Revisions`."""

    api: Api

    def targets(self, service: str) -> list[Target]:
        """Return the targets of the Service's status: what Knative does, not what its spec wishes."""
        found = self.api.get(GROUP, "services", service)
        with _readable(f"the status of Service {service}"):
            return _targets(found["status"])

    def deployed(self, service: str) -> Deployed:
        """Return what the Service's status says, and the revisions that it or its spec names."""
        found = self.api.get(GROUP, "services", service)
        with _readable(f"Service {service}"):
            routed = _shares(found.get("status", {}).get("traffic") or [])
            wished = [each["revisionName"] for each in found["spec"].get("traffic", []) if "revisionName" in each]
            latest = found["spec"]["template"].get("metadata", {}).get("name")
            version, by_hand = _version(found), _by_hand(found)
        states = {name: self._state(name, latest) for name in {*wished, *(share.revision for share in routed)}}
        there = {name: state for name, state in states.items() if state}
        return Deployed(
            routed,
            {name: ready for name, (ready, _, _) in there.items()},
            {name: reason for name, (ready, reason, _) in there.items() if not ready},
            version,
            by_hand,
            {name: model for name, (_, _, model) in there.items() if model},
        )

    def deploy(self, service: str, made: Made, shares: Sequence[Share], version: str) -> None:
        """Write a template of that name, unless there is the revision already, and the traffic."""
        rules.check_revision(service, made.revision)
        if made.revision not in {share.revision for share in shares}:
            raise BadSettings(f"{service}: no share names {made.revision}")
        there = self._revision(made.revision)
        if there is None:
            image = made.image or self._image(share.revision for share in shares if share.revision != made.revision)
            self._change(
                service, version, shares, lambda spec: _template(spec, made.model_version, made.revision, image)
            )
            return
        with _readable(f"revision {made.revision}"):
            model = _environment(there["spec"]).get(MODEL, "")
        if model != made.model_version:
            raise Conflict(f"{made.revision} is there, with model {model!r} and not {made.model_version!r}")
        self.shift(service, shares, version)

    def shift(self, service: str, shares: Sequence[Share], version: str) -> None:
        """Write the traffic."""
        self._change(service, version, shares, lambda _: {})

    def _change(
        self, service: str, version: str, shares: Sequence[Share], more: Callable[[Object], Mapping[str, Any]]
    ) -> None:
        """Patch the spec that was seen, and no other; what Knative writes into the status meanwhile does not matter."""
        rules.check(service, shares)
        for share in shares:
            rules.check_revision(service, share.revision)
        traffic = [{"revisionName": each.revision, "tag": each.tag, "percent": each.percent} for each in shares]
        annotations = {ASKED: _written(shares)}

        def attempt() -> None:
            found = self.api.get(GROUP, "services", service)
            with _readable(f"Service {service}"):
                if _version(found) != version:
                    raise _Passed(f"{service} was changed: it is at {_version(found)}, and {version} was seen")
                metadata = {"resourceVersion": found["metadata"]["resourceVersion"], "annotations": annotations}
                spec = {**more(found["spec"]), "traffic": traffic}
            self.api.patch(GROUP, "services", service, {"metadata": metadata, "spec": spec})

        may_pass = retry_if_exception_type(Conflict) & retry_if_not_exception_type(_Passed)
        Retrying(retry=may_pass, stop=stop_after_attempt(_ATTEMPTS), reraise=True)(attempt)

    def _revision(self, name: str) -> Object | None:
        try:
            return self.api.get(GROUP, "revisions", name)
        except NotFound:
            return None

    def _image(self, names: Iterable[str]) -> str:
        """Return the image of the first of some revisions that is there, else "": the template has the newest one's."""
        for found in filter(None, map(self._revision, names)):
            with _readable("the image of a revision"):
                return str(found["spec"]["containers"][0].get("image", ""))
        return ""

    def _state(self, name: str, latest: str | None) -> tuple[bool | None, str, str] | None:
        """Return whether a revision is ready, why not, and its model; None if it is not there, and will not be so."""
        found = self._revision(name)
        if found is None:
            return (None, "it is not made yet", "") if name == latest else None
        with _readable(f"revision {name}"):
            model = _environment(found["spec"]).get(MODEL, "")
            for each in found.get("status", {}).get("conditions", []):
                if each["type"] == "Ready":
                    return _READY[each["status"]], each.get("message") or each.get("reason", ""), model
        return None, "nothing is known of it yet", model


class _Passed(Conflict):
    """The generation that was seen is over; no other attempt brings it back."""


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """Raise Corrupt for what has not the form that it must have."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Corrupt(f"{what} cannot be read: {error!r}") from error


def _version(service: Object) -> str:
    """Return the generation: it counts the changes of the spec alone."""
    return str(service["metadata"]["generation"])


def _environment(spec: Object) -> dict[str, str]:
    return {
        each["name"]: each.get("value", "") for one in spec.get("containers", [])[:1] for each in one.get("env", [])
    }


def _template(spec: Object, model_version: str, revision: str, image: str) -> dict[str, Any]:
    """Return the change of the template to that of a revision. A patch replaces a list as a whole."""
    first, *others = spec["template"]["spec"]["containers"]
    kept = [each for each in first.get("env", []) if each["name"] != MODEL]
    pinned = {**first, **({"image": image} if image else {}), "env": [*kept, {"name": MODEL, "value": model_version}]}
    return {"template": {"metadata": {"name": revision}, "spec": {"containers": [pinned, *others]}}}


def _shares(traffic: Sequence[Object]) -> list[Share]:
    """Return one share for each revision, those with most of the traffic first: Knative may list its tag apart."""
    shares: dict[str, Share] = {}
    for each in sorted(traffic, key=lambda each: -each.get("percent", 0)):
        name = each["revisionName"]
        before = shares.get(name, Share(name, "", 0))
        shares[name] = Share(name, before.tag or each.get("tag", ""), before.percent + each.get("percent", 0))
    return list(shares.values())


def _targets(status: Object) -> list[Target]:
    """Return one target for each revision that can be asked by itself."""
    urls = {each["tag"]: each["url"] for each in status["traffic"] if "tag" in each}
    targets = []
    for name, tag, percent in _shares(status["traffic"]):
        if tag:
            targets.append(Target(name, tag, percent, urls[tag]))
        elif percent == 100:
            targets.append(Target(name, UNTAGGED, percent, status["address"]["url"]))
        elif percent:
            raise NotReady(f"{name} has {percent} % of the traffic, and no tag to ask it by")
    return targets


def _by_hand(service: Object) -> ByHand | None:
    """Return what traffic the spec has, if it is not what was asked for here and names its revisions."""
    traffic = service["spec"].get("traffic", [])
    asked = service["metadata"].get("annotations", {}).get(ASKED)
    if asked is None or not all("revisionName" in each for each in traffic):
        return None
    found = [Share(each["revisionName"], each.get("tag", ""), each.get("percent", 0)) for each in traffic]
    if asked == _written(found):
        return None
    return ByHand({each.revision: each.percent for each in _shares(traffic) if each.percent}, _writer(service))


def _written(shares: Sequence[Share]) -> str:
    return json.dumps(sorted(shares))


def _writer(service: Object) -> str:
    """Return what the tool calls itself that wrote the traffic last."""
    writers = [
        (each.get("time", ""), each.get("manager", ""))
        for each in service["metadata"].get("managedFields", [])
        if "f:traffic" in each.get("fieldsV1", {}).get("f:spec", {})
    ]
    return max(writers, default=("", ""))[1] or "somebody"

"""A change of a Service, as Knative's API takes it: a JSON merge patch. Pure."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, ValidationError

from infra.local.serving.objects import service_object
from infra.local.serving.state import ROOM, Record, Revision, Service, Template
from shared import shares
from shared.errors import BadInput, BadSettings, Conflict
from shared.ports import Share
from shared.settings import Settings

_VALUE: Final = re.compile(r"[\w.,:/@+=-]*", re.ASCII)  # what the supervisor's configuration can hold


class _Variable(Record):
    name: str
    value: str = ""


class _Container(Record):
    image: Literal["score"]
    env: tuple[_Variable, ...] = ()


class _Containers(Record):
    containers: tuple[_Container]


class _Name(Record):
    name: str


class _Template(Record):
    metadata: _Name
    spec: _Containers


class _Traffic(Record):
    revision: Annotated[str, Field(alias="revisionName")]
    tag: str
    percent: int = 0


class _Spec(Record):
    template: _Template
    traffic: Annotated[tuple[_Traffic, ...], Field(min_length=1, max_length=ROOM)]


class _Metadata(BaseModel):
    annotations: dict[str, str] = {}
    version: Annotated[str | None, Field(alias="resourceVersion")] = None


class _Wished(BaseModel):
    metadata: _Metadata
    spec: _Spec


def changed(service: Service, patch: object) -> Service:
    """Return the service with a JSON merge patch applied, as far as it is of the spec; the same one if nothing changes.

    Raises: Conflict if the patch is of another version; BadInput if it is no patch of this Service, BadSettings if what
    it wants cannot be.
    """
    if not isinstance(patch, Mapping):
        raise BadInput("a patch is a JSON object")
    try:
        wished = merged(service_object(service), patch)
    except RecursionError as error:
        raise BadInput("the patch is nested too deeply") from error
    template, wanted, metadata = _wanted(service.name, wished)
    annotations = metadata.annotations
    if metadata.version not in {None, str(service.version)}:
        raise Conflict(f"{service.name} has been modified; look at it again, and apply the change to what is there now")
    if (template, wanted) == (service.template, service.wanted):
        if annotations == service.annotations:
            return service
        return service.model_copy(update={"annotations": annotations, "version": service.version + 1})
    there = service.revision(template.name)
    if there is not None and there.template != template:
        raise BadSettings(f"{template.name} is there with another environment: a change needs another name")
    after = service.model_copy(
        update={
            "template": template,
            "wanted": wanted,
            "annotations": annotations,
            "generation": service.generation + 1,
            "version": service.version + 1,
            "revisions": service.revisions if there else (*service.revisions, Revision(template=template)),
        }
    )
    if len(after.named) > ROOM:
        raise BadSettings(
            f"{sorted(after.named)}: there is room for {ROOM} revisions, those that have traffic included"
        )
    return after


def merged(target: object, patch: object) -> Any:
    """Return what a JSON merge patch (RFC 7396) makes of a value: null removes, objects merge, all else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    whole = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            whole.pop(name, None)
        else:
            whole[name] = merged(whole.get(name), value)
    return whole


def _wanted(service: str, wished: Mapping[str, Any]) -> tuple[Template, tuple[Share, ...], _Metadata]:
    """Return the template, the traffic and the metadata of a Service's JSON."""
    if not isinstance(wished.get("metadata"), Mapping) or wished["metadata"].get("name") != service:
        raise BadInput(f"the patch is not one of {service}")
    try:
        found = _Wished.model_validate(wished)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise BadSettings("; ".join(wrong)) from None
    spec = found.spec
    wanted = tuple(Share(each.revision, each.tag, each.percent) for each in spec.traffic)
    shares.check(service, wanted)
    for name in (spec.template.metadata.name, *(share.revision for share in wanted)):
        shares.check_revision(service, name)
    environment = {each.name: each.value for each in spec.template.spec.containers[0].env}
    for name, value in environment.items():
        if name.lower() not in Settings.model_fields or name == "K_REVISION":
            raise BadSettings(f"{name[:80]!r} is no setting that a revision can be given")
        if not _VALUE.fullmatch(value):
            raise BadSettings(f"{name}: {value[:80]!r} has characters that it cannot be given")
    return Template(name=spec.template.metadata.name, environment=environment), wanted, found.metadata

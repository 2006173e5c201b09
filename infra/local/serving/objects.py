"""Services and revisions as Knative's API shows them. Pure."""

from datetime import UTC, datetime
from typing import Any, Final

from infra.local.serving.state import Revision, Service, Template
from shared.adapters.knative import GROUP
from shared.adapters.kubernetes import NAMESPACE
from shared.ports import Share

IMAGE: Final = "score"
"""The only image that there is on one machine."""

_STATUS: Final = {True: "True", False: "False", None: "Unknown"}


def service_object(service: Service) -> dict[str, Any]:
    """Return a Service as JSON."""
    waiting = [name for name in sorted(service.named) if not _is_ready(service, name)]
    done = service.wanted == service.routed and not waiting
    return {
        "apiVersion": GROUP,
        "kind": "Service",
        "metadata": {
            "name": service.name,
            "namespace": NAMESPACE,
            "annotations": service.annotations,
            "generation": service.generation,
            "resourceVersion": str(service.version),
        },
        "spec": {
            "template": {"metadata": {"name": service.template.name}, "spec": _spec(service.template)},
            "traffic": [_target(share) for share in service.wanted],
        },
        "status": {
            "observedGeneration": service.generation,
            "conditions": [_condition(done or None, "" if done else f"it waits for {', '.join(waiting)}")],
            "latestCreatedRevisionName": service.template.name,
            "address": {"url": f"http://{service.name}"},
            "traffic": [{**_target(share), "url": f"http://{share.tag}-{service.name}"} for share in service.routed],
        },
    }


def revision_object(revision: Revision) -> dict[str, Any]:
    """Return a Revision as JSON."""
    since = datetime.fromtimestamp(revision.since, UTC).isoformat(timespec="seconds")
    return {
        "apiVersion": GROUP,
        "kind": "Revision",
        "metadata": {"name": revision.name, "namespace": NAMESPACE},
        "spec": _spec(revision.template),
        "status": {"conditions": [{**_condition(revision.ready, revision.reason), "lastTransitionTime": since}]},
    }


def _is_ready(service: Service, name: str) -> bool:
    revision = service.revision(name)
    return revision is not None and bool(revision.ready)


def _spec(template: Template) -> dict[str, Any]:
    env = [{"name": name, "value": value} for name, value in template.environment.items()]
    return {"containers": [{"image": IMAGE, "env": env}]}


def _target(share: Share) -> dict[str, Any]:
    return {"revisionName": share.revision, "tag": share.tag, "percent": share.percent}


def _condition(ready: bool | None, message: str) -> dict[str, str]:
    return {"type": "Ready", "status": _STATUS[ready]} | ({"message": message} if message else {})

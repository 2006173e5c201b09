"""Names for the templates of the `score` Services in git: a change of them is a revision without users (ADR 18).

python -m infra.rancher.revisions      # after any change of them, another image too
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml

from infra import kustomize
from infra.local.machine import ROOT
from shared import keys
from shared.events import ALGORITHMS

OVERLAY: Final = ROOT / "knative" / "overlays" / "rancher"
NAMES: Final = ROOT / "knative" / "overlays" / "fleet" / "revisions.yaml"

_HEAD: Final = (
    "# Written by `python -m infra.rancher.revisions`: Knative takes another template only under another name.\n"
)
_SCORES: Final = {keys.score_service(algorithm) for algorithm in ALGORITHMS}

Object = Mapping[str, Any]


def name(service: Object) -> str:
    """Return the name of a Service's template: the same for the same content, and none that `rollout` gives."""
    content = json.dumps(service["spec"]["template"], sort_keys=True)
    return f"{service['metadata']['name']}-git-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def patches(documents: Iterable[Object]) -> str:
    """Return the patches that give the `score` Services of an overlay their names, as YAML."""
    scores = (each for each in documents if each["kind"] == "Service" and each["metadata"]["name"] in _SCORES)
    return _HEAD + yaml.safe_dump_all([_patch(each) for each in scores], sort_keys=False)


def _patch(service: Object) -> dict[str, Any]:
    metadata = {key: service["metadata"][key] for key in ("name", "namespace")}
    spec = {"template": {"metadata": {"name": name(service)}}}
    return {"apiVersion": service["apiVersion"], "kind": service["kind"], "metadata": metadata, "spec": spec}


if __name__ == "__main__":
    NAMES.write_text(patches(kustomize.render(OVERLAY)))

"""The bundles as Fleet reads them from git, and what Fleet and Helm do with their objects.

Read in the sources of Fleet 0.16 (`desiredset`, `normalizers`, `helmdeployer`) and of the Helm libraries 3.18 and 4.2
(`pkg/kube`): both make the same patch when a release is applied by the client, which `takeOwnership` has them do.
"""

import copy
import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from infra import kustomize
from infra.local.machine import ROOT

Object = dict[str, Any]

RANCHER = ROOT / "infra" / "rancher"
GITREPO: Object = yaml.safe_load((RANCHER / "gitrepo.yaml").read_text())


class Bundle(NamedTuple):
    base: Path
    options: Path
    fleet: Object

    @property
    def name(self) -> str:
        return str(self.fleet["name"])

    def objects(self, base: Path | None = None) -> list[Object]:
        """Return what is in git of it; a chart's manifests are not. `base` is where a copy of its folder is."""
        base = base or self.base
        if "kustomize" in self.fleet:
            return kustomize.render(base / self.fleet["kustomize"]["dir"])
        files = (each for each in sorted(base.glob("*.yaml")) if each.name != "fleet.yaml")
        return [each for file in files for each in yaml.safe_load_all(file.read_text())]


@functools.cache
def bundles() -> dict[str, Bundle]:
    found = [
        Bundle(ROOT / each["base"], options := ROOT / each["base"] / each.get("options", "fleet.yaml"), read(options))
        for each in GITREPO["spec"]["bundles"]
    ]
    return {each.name: each for each in found}


@functools.cache
def objects(bundle: str) -> list[Object]:
    return bundles()[bundle].objects()


def read(file: Path) -> Object:
    document: Object = yaml.safe_load(file.read_text())
    return document


def compared(bundle: str) -> list[Object]:
    patches: list[Object] = bundles()[bundle].fleet.get("diff", {}).get("comparePatches", [])
    return patches


def matches(patch: Object, document: Object) -> bool:
    """Return whether Fleet uses a comparePatch for an object: without a name or namespace it is for all."""
    metadata: Object = document["metadata"]
    return bool(
        patch["apiVersion"].rpartition("/")[0] == document["apiVersion"].rpartition("/")[0]
        and patch["kind"] == document["kind"]
        and patch.get("name", metadata["name"]) == metadata["name"]
        and patch.get("namespace", metadata.get("namespace")) == metadata.get("namespace")
    )


def drift(bundle: str, desired: Object, live: Object) -> Object:
    """Return what Fleet would say is modified: the patch that it thinks the live object lacks, empty for none."""
    patches = [each for each in compared(bundle) if matches(each, desired)]
    pointers = ["/status", *(pointer for each in patches for pointer in each["jsonPointers"])]
    return _missing(_without(desired, pointers), _without(live, pointers))


def helm_patch(before: Object, after: Object) -> Object:
    """Return the JSON merge patch (RFC 7386) between two versions of a manifest; what is live plays no part."""
    patch: Object = {key: None for key in before if key not in after}
    for key, value in after.items():
        if isinstance(value, dict) and isinstance(before.get(key), dict):
            if inner := helm_patch(before[key], value):
                patch[key] = inner
        elif key not in before or before[key] != value:
            patch[key] = value
    return patch


def merged(document: Object, patch: Mapping[str, Any]) -> Object:
    """Return an object with a JSON merge patch applied."""
    result = dict(document)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            inner = result.get(key)
            result[key] = merged(inner if isinstance(inner, dict) else {}, value)
        else:
            result[key] = value
    return result


def _missing(desired: Object, live: Object) -> Object:
    """Return the part of `desired` that `live` has not. What is more in a live map is fine, in a list it is not."""
    missing: Object = {}
    for key, value in desired.items():
        if isinstance(value, dict) and isinstance(live.get(key), dict):
            if inner := _missing(value, live[key]):
                missing[key] = inner
        elif key not in live or not _has(live[key], value):
            missing[key] = value
    return missing


def _has(live: Any, desired: Any) -> bool:
    """Return whether a live value has all of the desired one; elements of lists stand at the same places."""
    if isinstance(desired, dict) and isinstance(live, dict):
        return all(key in live and _has(live[key], value) for key, value in desired.items())
    if isinstance(desired, list) and isinstance(live, list):
        return len(desired) == len(live) and all(_has(*pair) for pair in zip(live, desired, strict=True))
    return bool(live == desired)


def _without(document: Object, pointers: Iterable[str]) -> Object:
    """Return a copy without what the pointers lead to; one that leads nowhere is passed over, as Fleet does."""
    result: Any = copy.deepcopy(document)
    for pointer in pointers:
        *way, last = (each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:])
        at = result
        for each in way:
            at = at[int(each)] if isinstance(at, list) and int(each) < len(at) else _inner(at, each)
        if isinstance(at, dict):
            at.pop(last, None)
    found: Object = json.loads(json.dumps(result))
    return found


def _inner(at: Any, key: str) -> Any:
    return at.get(key) if isinstance(at, dict) else None

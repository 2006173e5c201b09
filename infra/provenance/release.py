"""Registers the models that `dvc repro` made in this checkout: a commit upon the code that made them, and its tags.

The commit holds `dvc.lock`, what was fetched, manifests and metrics; only tags lead to it, so no branch moves.
"""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from infra.provenance import tools
from infra.provenance.git import text
from infra.provenance.registry import again_if_refused, beside, manifest_path, uncommitted
from shared.artifacts import Manifest
from shared.errors import BadInput, Corrupt
from shared.events import ALGORITHMS

_RECORDS: Final = ("dvc.lock", "source.yaml")


def records(root: Path) -> dict[str, bytes]:
    """Return the files that say what was made of what, by path. Raises: BadInput if nothing was made yet."""
    paths = [*(root / name for name in _RECORDS), *root.glob("metrics/*"), *root.glob("models/*/manifest.json")]
    missing = [path for path in paths if not path.exists()]
    if missing or len(paths) == len(_RECORDS):
        raise BadInput("no model was made here yet; `make retrain` makes them")
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(paths)}


def committed(root: Path, made: Collection[str]) -> str:
    """Return the commit of a checkout. Raises: BadInput if other files than those that were made differ from it."""
    if others := uncommitted(root, made):
        raise BadInput(f"commit {', '.join(others[:5])} first: a model goes nowhere without the code that made it")
    return text("rev-parse", "HEAD", cwd=root)


@again_if_refused
def register(root: Path, repository: str, environment: Mapping[str, str] = os.environ) -> Sequence[str]:
    """Store what DVC holds at its remote, then register the models that are not yet; return their tags.

    Raises: BadInput if the code that made them is not committed; NotReady; Conflict if it was refused again and again.
    """
    found = records(root)
    committed(root, found)
    if json.loads(tools.run("dvc", "status", "--json", cwd=root, environment=environment)):
        raise BadInput("dvc.lock is not what is here; `make retrain` first")
    with beside(root, repository) as registry:
        known = {algorithm: registry.known(algorithm) for algorithm in ALGORITHMS}
        made = {name: _manifest(found[manifest_path(name)]) for name in ALGORITHMS if manifest_path(name) in found}
        new = {name: manifest for name, manifest in made.items() if known[name].version_of(manifest.id) is None}
        if not new:
            return []
        tools.run("dvc", "push", cwd=root, environment=environment)
        versions = {name: known[name].next(manifest) for name, manifest in new.items()}
        message = "; ".join(f"{name} {versions[name]}: model {manifest.id}" for name, manifest in new.items())
        at = max(datetime.fromisoformat(manifest.created_at) for manifest in new.values())
        commit = registry.write(found, message, at)
        for name, version in versions.items():
            registry.register(name, version, commit, f"{name} {version}: model {new[name].id}")
        registry.publish(repository, branch=None)
    return registry.tags


def _manifest(data: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        raise Corrupt(f"not a manifest: {error.error_count()} wrong fields") from None

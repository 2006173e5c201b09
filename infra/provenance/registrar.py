"""Registers what the event-driven loop trained, and what rollout made of it, in a git repository.

The bucket is the truth, and the repository follows it. Each run clones the repository anew, adds what is missing, and
pushes all of it at once: whatever fails on the way leaves nothing that anybody sees, and the next run does all of it.
Of two that race one is refused, clones again, and finds its work done.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from infra.provenance import project
from infra.provenance.registry import Known, Registry, again_if_refused, cloned, manifest_path
from infra.provenance.versions import parameters
from shared import failpoints, keys, rollout
from shared.artifacts import MANIFEST, ArtifactStore, Manifest
from shared.channels import Channels
from shared.errors import Corrupt, NotFound
from shared.events import ALGORITHMS, Algorithm
from shared.model import FACTORS
from shared.ports import ObjectStore
from shared.rollout import Change, State

BRANCH: Final = "provenance"
_NAME: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}")


@dataclass
class Report:
    """The tags that were made, and what could not be registered and why."""

    tags: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)


class Move(NamedTuple):
    """A model went live, by a change of its service, or was so at that change; None if the service tells of none."""

    model_version: str
    change: Change | None


@again_if_refused
def run(objects: ObjectStore, repository: str, place: project.Place, branch: str = BRANCH) -> Report:
    """Register every model of the bucket that is not yet, and who is live.

    Raises: NotReady if bucket or repository cannot be reached; Conflict if the repository refused it again and again.
    """
    report = Report()
    with cloned(repository, branch) as registry:
        for algorithm in ALGORITHMS:
            known = _register(objects, registry, algorithm, place, report)
            _assign(objects, registry, algorithm, known, report)
        if registry.tags:
            failpoints.reach("registrar.tagged")
            registry.publish(repository, branch)
            failpoints.reach("registrar.pushed")
        report.tags = registry.tags
    return report


def _register(
    objects: ObjectStore, registry: Registry, algorithm: Algorithm, place: project.Place, report: Report
) -> Known:
    known = registry.known(algorithm)
    found, trouble = unregistered(objects, algorithm, {manifest.id for manifest in known.models.values()})
    report.trouble += trouble
    for manifest in found:
        version = known.next(manifest)
        files = {
            **project.files(place),
            **project.model(algorithm, manifest),
            manifest_path(algorithm): manifest.model_dump_json(indent=1).encode(),
        }
        message = f"{algorithm} {version}: model {manifest.id} of lake version {manifest.lake_version}"
        commit = registry.write(files, message, datetime.fromisoformat(manifest.created_at))
        failpoints.reach("registrar.committed")
        registry.register(algorithm, version, commit, message)
        known = known.with_model(version, manifest)
    return known


def _assign(objects: ObjectStore, registry: Registry, algorithm: Algorithm, known: Known, report: Report) -> None:
    service = keys.score_service(algorithm)
    try:
        state = rollout.read(service, Channels(objects).get(service))
    except Corrupt as error:
        report.trouble.append(str(error))
        return
    standing = known.prod
    live = known.models[standing.version].id if standing else None
    for move in moves(state, live, standing.change if standing else -1):
        version = known.version_of(move.model_version)
        if version is None:
            report.trouble.append(f"{service} is answered from {move.model_version}, which is not registered")
            continue
        registry.assign(algorithm, version, words(service, move))


def unregistered(
    objects: ObjectStore, algorithm: Algorithm, registered: Collection[str]
) -> tuple[list[Manifest], list[str]]:
    """Return the models of a bucket that are not registered, oldest first, and what is wrong with others.

    Raises: NotReady.
    """
    store, found, trouble = ArtifactStore(objects), [], []
    folder = keys.models(algorithm)
    for key in objects.keys(folder):
        name, _, rest = key.removeprefix(folder).partition("/")
        if rest != MANIFEST or name in registered:
            continue
        if not _NAME.fullmatch(name):
            trouble.append(f"{key!r} is no name of a model")
            continue
        try:
            manifest = store.manifest(keys.model(algorithm, name))
            datetime.fromisoformat(manifest.created_at)
            parameters(manifest)
        except NotFound:  # expired since it was listed
            continue
        except (Corrupt, ValueError) as error:
            trouble.append(f"{key}: {error}")
            continue
        if (manifest.kind, manifest.id) == ("model", name) and FACTORS in manifest.files:
            found.append(manifest)
        else:
            trouble.append(f"{key} is the manifest of {manifest.kind} {manifest.id}, with {sorted(manifest.files)}")
    return sorted(found, key=lambda each: (datetime.fromisoformat(each.created_at).timestamp(), each.id)), trouble


def moves(state: State, live: str | None, known: int) -> Sequence[Move]:
    """Return which models went live after a change, in order, the last of them the one that is live now.

    Args: live: the model that is known to have been live last; known: the number of the change that made it so.
    """
    promoted = [each for each in state.log if each.what == "promoted" and each.number > known]
    found = [Move(each.model_version, each) for each in promoted]
    now = state.model_version
    if now and now != (found[-1].model_version if found else live):
        back = [each for each in state.log if each.what == "rolled_back" and each.number > known]
        last = [*state.log[-1:], *back][-1:]  # a channel made anew has lower numbers than those that are known
        found.append(Move(now, last[0] if last else None))
    before = [live, *(each.model_version for each in found)]
    return [each for each, last in zip(found, before, strict=False) if each.model_version != last]


def words(service: str, move: Move) -> str:
    """Return the message of a tag: which change it was, who made it, and why, on one line."""
    if move.change is None:
        return f"{service} is answered from {move.model_version}"
    change = move.change
    said = f"{service} change {change.number}: {change.what.replace('_', ' ')} by {change.who}: {change.why}"
    return " ".join("".join(each if each.isprintable() else " " for each in said).split())[:500]

"""Delete from the lake what is old, was used by an online evaluation and is in a matrix; never anything newer.

Killed anywhere it is done again from the start at the next tick: each step finds what is left of its work.
"""

from collections.abc import Mapping
from datetime import timedelta
from itertools import takewhile
from typing import Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict

from functions.fold_lake import core
from shared import bootstrap, failpoints, keys, telemetry
from shared.channels import unreadable
from shared.errors import Corrupt, NotFound
from shared.events import ALGORITHMS
from shared.ports import Vacuumed
from shared.rollout import AHEAD_MOST

_DAY_US: Final = 86_400 * 1_000_000
_COUNTED: Final = {"n_stored": "rating", "n_watched": "watch"}
"""Where the channel of matrices says how many rows of a kind were stored."""


class Expired(BaseModel):
    """The state of the channel: when the old was let go last."""

    model_config = ConfigDict(frozen=True, strict=True)

    expired_at: AwareDatetime


def expire(deps: bootstrap.Deps) -> None:
    """Drop the partitions that have had their time, and vacuum the files that no live model needs.

    What was used is what stood in the lake at the version of the standing matrix and at that of the last evaluation;
    before there are both, nothing goes.
    """
    if not due(deps):
        return
    matrix = deps.channels.get(keys.MATRIX_CHANNEL).get("lake_version")
    evaluated = deps.channels.get(keys.EVALUATION_CHANNEL).get("lake_version")
    if not isinstance(matrix, int) or not isinstance(evaluated, int):
        return
    used = deps.lake.files(min(matrix, evaluated))
    old = core.expired(deps.lake.files(), used, deps.settings.retain_days, deps.now().date())
    failpoints.reach("expire.before_drop")
    if old:
        deps.lake.drop(old)
    failpoints.reach("expire.after_drop")
    count_anew(matrix, deps)
    vacuumed = vacuum(matrix, deps)
    reports = old_reports(deps)
    deps.objects.delete(reports)
    failpoints.reach("expire.after_vacuum")
    for partition, n_rows in old.items():
        telemetry.EXPIRED.labels(partition.kind).inc(n_rows)
    telemetry.VACUUMED.inc(vacuumed.n_bytes)
    deps.channels.revise(keys.EXPIRY_CHANNEL, Expired, lambda _: Expired(expired_at=deps.now()))
    deps.log.info(
        "lake_expired",
        n_partitions=len(old),
        n_rows=sum(old.values()),
        n_reports=len(reports),
        n_files=vacuumed.n_files,
        n_bytes=vacuumed.n_bytes,
    )


def due(deps: bootstrap.Deps) -> bool:
    """Say whether it is time again: also if nobody can say when it was last, or that is said to be still to come."""
    now, last = deps.now(), deps.channels.known(keys.EXPIRY_CHANNEL, Expired)
    if last is None:
        return True
    if last.expired_at > now + timedelta(microseconds=AHEAD_MOST):
        unreadable(keys.EXPIRY_CHANNEL, f"old rows went last at {last.expired_at}, which is still to come")
        return True
    return now - last.expired_at >= timedelta(hours=deps.settings.expire_every_hours)


def count_anew(matrix: int, deps: bootstrap.Deps) -> None:
    """Correct what the standing matrix counted as stored: rows that are gone must not hide new ones."""
    then, now = deps.lake.files(matrix), deps.lake.files()
    left = {name: core.still_stored(then, now, kind) for name, kind in _COUNTED.items()}

    def correct(state: Mapping[str, Any]) -> Mapping[str, Any] | None:
        fewer = {name: n_rows for name, n_rows in left.items() if n_rows < state.get(name, 0)}
        return {**state, **fewer} if fewer and state.get("lake_version") == matrix else None

    deps.channels.update(keys.MATRIX_CHANNEL, correct)


def vacuum(matrix: int, deps: bootstrap.Deps) -> Vacuumed:
    """Delete the files that neither the standing matrix nor any live model needs; none at all in doubt."""
    try:
        live = live_versions(deps)
    except Corrupt as error:
        deps.log.warning("lake_not_vacuumed", reason=str(error))
        return Vacuumed(0, 0)
    return deps.lake.vacuum({matrix, *live})


def old_reports(deps: bootstrap.Deps) -> list[str]:
    """Return the online reports on lists that were served longer ago than lists are kept, one after another.

    Decisions are none of them: they say why users were moved.
    """
    days = deps.settings.retain_served_days
    if not days:
        return []
    names = sorted(deps.objects.keys(keys.ONLINE_REPORTS), key=core.report_number)
    begin = deps.now_us() - days * _DAY_US
    return list(takewhile(lambda name: core.evaluated_at(deps.objects.get(name).data) < begin, names))


def live_versions(deps: bootstrap.Deps) -> set[int]:
    """Return the lake versions of the matrices of all live models: `score` follows the lake from there.

    Raises: Corrupt if it cannot be said, as when a channel is unreadable that should name models.
    """
    versions = set()
    for algorithm in ALGORITHMS:
        service = keys.score_service(algorithm)
        models = core.model_versions(deps.channels.get(service))
        if not models and deps.objects.keys(keys.models(algorithm)):
            raise Corrupt(f"there are models of {algorithm}, and the channel of {service} names none")
        for model in models:
            version = lake_version(keys.model(algorithm, model), deps)
            if version is not None and version >= 0:  # before 0 there is no file
                versions.add(version)
    return versions


def lake_version(model: str, deps: bootstrap.Deps) -> int | None:
    """Return the lake version of a model's matrix, None if either is gone. Raises: Corrupt."""
    try:
        return deps.artifacts.manifest(str(deps.artifacts.manifest(model).made_from)).lake_version
    except NotFound:
        return None

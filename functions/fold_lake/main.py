"""Fold what landed into the lake: `marquee.events.landed` or a tick in, `marquee.lake.folded` out.

Exactly once: a commit carries its number and the names of the objects in it. Whoever comes next, after
any death, first deletes what the last commit names, so nothing is folded twice and nothing stays behind.
"""

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from functions.fold_lake import core
from functions.fold_lake.expire import expire
from shared import bootstrap, failpoints, forgotten, keys, telemetry
from shared.adapters.entrypoint import event_app, target
from shared.errors import Corrupt, NotFound
from shared.events import EventsLanded, LakeFolded, Tick
from shared.forgotten import Forgotten
from shared.ports import Fold

_READERS = 8


def handle(event: EventsLanded | Tick, deps: bootstrap.Deps) -> None:
    """Fold every landed object, compact when it is time, say where the lake stands; on a tick, let the old go."""
    left_out = forgotten.read(deps.objects)
    last = deps.lake.last_fold()
    landed = deps.objects.keys(keys.LANDING)
    folded = set(last.keys).intersection(landed)  # left by a fold that died between its commit and its delete
    deps.objects.delete(folded)
    for batch in core.batches([key for key in landed if key not in folded], deps.settings.fold_max_objects):
        last = Fold(last.number + 1, batch)
        fold(last, left_out, deps)
    if isinstance(event, Tick):
        expire(deps)


def fold(fold: Fold, left_out: Forgotten, deps: bootstrap.Deps) -> None:
    """Commit one batch without the rows of who asked to be forgotten, delete it, publish it.

    Raises: Conflict if somebody asked who is not left out.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        tables = list(pool.map(lambda key: read(key, deps), fold.keys))
    found = core.combine([table for table in tables if table is not None])
    rows = core.without(found, left_out)
    failpoints.reach("fold_lake.before_commit")
    forgotten.refuse_if_grown(deps.objects, left_out)
    version = deps.lake.fold(rows, fold)
    failpoints.reach("fold_lake.after_commit")
    deps.objects.delete(fold.keys)
    failpoints.reach("fold_lake.after_delete")
    telemetry.FOLDED.inc(len(rows))
    telemetry.FORGOTTEN.inc(len(found) - len(rows))
    telemetry.LAKE_VERSION.set(version)
    deps.publisher.publish(LakeFolded(version, len(rows)))
    if fold.number % deps.settings.compact_every_folds == 0:
        deps.lake.compact()
    failpoints.reach("fold_lake.before_answer")
    deps.log.info("lake_folded", lake_version=version, n_rows=len(rows), n_objects=len(fold.keys))


def read(key: str, deps: bootstrap.Deps) -> pa.Table | None:
    """Return a landed object's rows, or None once it is set aside as unreadable or already gone."""
    try:
        data = deps.objects.get(key).data
    except NotFound:
        return None
    try:
        return core.rows_of(key, data)
    except Corrupt as error:
        deps.objects.put(keys.refused(key), data)
        deps.log.warning("landed_object_refused", key=key, kept_as=keys.refused(key), reason=str(error))
        return None


app = event_app(lambda: bootstrap.build("fold_lake"), {EventsLanded: handle, Tick: handle})

main = target(app)

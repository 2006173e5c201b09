"""Build the rating matrix: `marquee.lake.folded` or a tick in, `marquee.matrix.built` out once enough is new."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from functions.build_matrix import core, gather
from shared import bootstrap, forgotten, keys
from shared.adapters.entrypoint import event_app, target
from shared.events import LakeFolded, MatrixBuilt, Tick


def handle(_: LakeFolded | Tick, deps: bootstrap.Deps) -> None:
    """Read the ratings at one lake version, split them by time, store the matrix, say so."""
    standing = deps.channels.get(keys.MATRIX_CHANNEL)
    now, counts, settings = deps.now(), deps.lake.counts(), deps.settings
    n_stored, n_watched = counts.get("rating", 0), counts.get("watch", 0)
    if not core.due(
        n_stored - standing.get("n_stored", 0),
        n_watched - standing.get("n_watched", 0),
        age_hours(standing, now),
        settings.min_new_ratings,
        settings.matrix_max_age_hours,
    ):
        return
    asked = forgotten.listed(deps.objects)
    lake_version = deps.lake.version()
    ratings = gather.ratings(deps.lake.scan("rating", gather.COLUMNS, lake_version))
    watches = gather.watches(deps.lake.scan("watch", gather.WATCH_COLUMNS, lake_version))
    split, files = core.files(ratings, settings.validation_fraction, watches)
    statistics = core.statistics(ratings)
    manifest = deps.manifest(
        kind="matrix",
        id=split.matrix_id,
        lake_version=lake_version,
        lake_read_at=now.isoformat(),
        parameters={"validation_fraction": settings.validation_fraction},
        offsets=ratings.offsets,
        metrics={**statistics, "drift": core.drift(standing.get("statistics"), statistics)},
    )
    forgotten.refuse_if_grown(deps.objects, asked)
    deps.artifacts.put(keys.matrix(split.matrix_id), files, manifest)
    built = MatrixBuilt(split.matrix_id, lake_version, split.train.n_ratings)
    deps.publisher.publish(built)
    state = {
        "matrix_id": split.matrix_id,
        "lake_version": lake_version,
        "n_stored": n_stored,
        "n_watched": n_watched,
        "statistics": statistics,
        "built_at": deps.now().isoformat(),
    }
    deps.channels.update(keys.MATRIX_CHANNEL, lambda now: None if now.get("lake_version", -1) > lake_version else state)
    deps.log.info("matrix_built", matrix=built.matrix_id, lake_version=lake_version, n_ratings=built.n_ratings)


def age_hours(standing: Mapping[str, Any], now: datetime) -> float | None:
    """Return how old the standing matrix is, None if there is none."""
    if "built_at" not in standing:
        return None
    return (now - datetime.fromisoformat(standing["built_at"])).total_seconds() / 3600


app = event_app(lambda: bootstrap.build("build_matrix"), {LakeFolded: handle, Tick: handle})

main = target(app)

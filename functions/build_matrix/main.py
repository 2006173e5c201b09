"""Build the rating matrix: `marquee.lake.folded` or a tick in, `marquee.matrix.built` out once enough is new."""

from functions.build_matrix import core, gather
from functions.build_matrix.leave_out import without
from functions.build_matrix.standing import Standing
from shared import bootstrap, forgotten, keys
from shared.adapters.entrypoint import event_app, target
from shared.events import LakeFolded, MatrixBuilt, Tick


def handle(_: LakeFolded | Tick, deps: bootstrap.Deps) -> None:
    """Read the ratings at one lake version, split them by time, store the matrix, say so."""
    standing = deps.channels.reached(keys.MATRIX_CHANNEL, Standing, deps.lake.version)
    now, counts, settings = deps.now(), deps.lake.counts(), deps.settings
    n_stored, n_watched = counts.get("rating", 0), counts.get("watch", 0)
    if not core.due(
        n_stored - (standing.n_stored if standing else 0),
        n_watched - (standing.n_watched if standing else 0),
        standing.age_hours(now) if standing else None,
        settings.min_new_ratings,
        settings.matrix_max_age_hours,
    ):
        return
    left_out = forgotten.read(deps.objects)
    lake_version = deps.lake.version()
    ratings = gather.ratings(deps.lake.scan("rating", gather.COLUMNS, lake_version))
    watches = gather.watches(deps.lake.scan("watch", gather.WATCH_COLUMNS, lake_version))
    theirs = left_out.among({*ratings.users, *watches.users})
    ratings, watches = without(ratings, theirs), without(watches, theirs)
    split, files = core.files(ratings, settings.validation_fraction, watches)
    statistics = core.statistics(ratings)
    manifest = deps.manifest(
        kind="matrix",
        id=split.matrix_id,
        lake_version=lake_version,
        lake_read_at=now.isoformat(),
        parameters={"validation_fraction": settings.validation_fraction},
        offsets=ratings.offsets,
        metrics={
            **statistics.model_dump(),
            "drift": core.drift(standing.statistics if standing else None, statistics),
        },
    )
    forgotten.refuse_if_grown(deps.objects, left_out)
    deps.artifacts.put(keys.matrix(split.matrix_id), files, manifest)
    built = MatrixBuilt(split.matrix_id, lake_version, split.train.n_ratings)
    deps.publisher.publish(built)
    state = Standing(
        matrix_id=split.matrix_id,
        lake_version=lake_version,
        n_stored=n_stored,
        n_watched=n_watched,
        statistics=statistics,
        built_at=deps.now(),
    )
    deps.channels.advance(keys.MATRIX_CHANNEL, state, deps.lake.version)
    deps.log.info("matrix_built", matrix=built.matrix_id, lake_version=lake_version, n_ratings=built.n_ratings)


app = event_app(lambda: bootstrap.build("build_matrix"), {LakeFolded: handle, Tick: handle})

main = target(app)

"""Train: `marquee.matrix.built` in, one `marquee.model.trained` out for each algorithm."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from functions.train import core, timed
from shared import bootstrap, forgotten, keys, rollout, telemetry
from shared.adapters.entrypoint import event_app, target
from shared.adapters.processes import die_with_parent
from shared.adapters.yaml_file import read_yaml
from shared.artifacts import Artifact, Manifest, libraries
from shared.errors import BadEvent, Corrupt, NotFound
from shared.events import ALGORITHMS, Algorithm, MatrixBuilt, ModelTrained
from shared.forgotten import Forgotten
from shared.matrix import Split
from shared.model import FactorModel
from shared.settings import cores


def handle(event: MatrixBuilt, deps: bootstrap.Deps) -> None:
    """Fit each algorithm to the matrix, unless that model is stored already; store it; say so."""
    left_out = forgotten.read(deps.objects)
    chosen = {**core.DEFAULTS, **core.parameters(read_yaml(deps.settings.params_file))}
    loaded: tuple[Split, Manifest] | None = None
    for algorithm in ALGORITHMS:
        base = predecessor(event, algorithm, chosen[algorithm].n_factors, deps)
        order = core.Order(
            algorithm,
            chosen[algorithm].warmed() if base else chosen[algorithm],
            deps.settings.train_seed,
            deps.settings.train_threads or cores(),
        )
        version = core.model_version(event.matrix_id, order, libraries(), base.manifest.id if base else None)
        if not stored(algorithm, version, deps):
            loaded = loaded or load(event.matrix_id, left_out, deps)
            train(version, order, base, *loaded, left_out, deps)
        deps.publisher.publish(ModelTrained(algorithm, version, event.matrix_id))


def load(matrix_id: str, left_out: Forgotten, deps: bootstrap.Deps) -> tuple[Split, Manifest]:
    """Return a matrix, every file checked, without who asked to be forgotten, and its story."""
    artifact = deps.artifacts.get(keys.matrix(matrix_id))
    split = Split.from_files(matrix_id, artifact.files)
    for user_id in left_out.among(split.train.users):
        split = split.without(user_id)
    return split, artifact.manifest


def predecessor(event: MatrixBuilt, algorithm: Algorithm, n_factors: int, deps: bootstrap.Deps) -> Artifact | None:
    """Return the model to start from, every file checked: the standing one, if it was made from less of the lake.

    For the matrix that the standing model itself was made from, as after a repeated event, it is what that one started
    from. A model with another number of factors, or one that cannot be read, is no start.
    """
    version = rollout.live(deps.channels, keys.score_service(algorithm))
    if not version or not deps.settings.warm_start:
        return None
    try:
        manifest = deps.artifacts.manifest(keys.model(algorithm, version))
        if manifest.made_from == keys.matrix(event.matrix_id):
            version = manifest.warmed_from
            if version is None:
                return None
        artifact = deps.artifacts.get(keys.model(algorithm, version))
    except (Corrupt, NotFound) as error:
        deps.log.warning("no_warm_start", model=version, reason=str(error))
        return None
    lake_version, parameters = artifact.manifest.lake_version, artifact.manifest.parameters
    older = lake_version is not None and lake_version < event.lake_version
    return artifact if older and parameters.get("n_factors") == n_factors else None


def train(
    version: str,
    order: core.Order,
    base: Artifact | None,
    split: Split,
    matrix: Manifest,
    left_out: Forgotten,
    deps: bootstrap.Deps,
) -> None:
    """Fit one model in a process of its own, so that this one stays alive to its probes, and store it.

    Raises: Conflict if somebody asked to be forgotten who is not left out.
    """
    warm = FactorModel.from_files(base.files) if base else None
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=die_with_parent) as pool:
        try:
            model, seconds = pool.submit(timed.fit, split.train, order, warm).result()
            processor = pool.submit(timed.processor).result()
        except core.Diverged as error:
            raise BadEvent(f"{order.algorithm} on matrix {split.matrix_id}: {error}") from error
    manifest = deps.manifest(
        kind="model",
        id=version,
        made_from=keys.matrix(split.matrix_id),
        warmed_from=base.manifest.id if base else None,
        lake_version=matrix.lake_version,
        processor=processor,
        parameters=order.as_dict(),
        revision=core.REVISION,
        metrics={"fit_seconds": round(seconds, 4), "n_ratings": split.train.n_ratings},
    )
    forgotten.refuse_if_grown(deps.objects, left_out)
    deps.artifacts.put(keys.model(order.algorithm, version), model.to_files(), manifest)
    telemetry.FIT_SECONDS.labels(order.algorithm).set(seconds)
    deps.log.info(
        "model_trained",
        algorithm=order.algorithm,
        model=version,
        warmed_from=manifest.warmed_from,
        fit_seconds=round(seconds, 2),
    )


def stored(algorithm: Algorithm, version: str, deps: bootstrap.Deps) -> bool:
    """Say whether this very model is stored already, as after a repeated event."""
    try:
        deps.artifacts.manifest(keys.model(algorithm, version))
    except NotFound:
        return False
    return True


app = event_app(lambda: bootstrap.build("train"), {MatrixBuilt: handle})

main = target(app)

"""Train: `marquee.matrix.built` in, one `marquee.model.trained` out for each algorithm."""

import multiprocessing
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor

from functions.train import core
from shared import bootstrap, keys, telemetry
from shared.adapters.entrypoint import event_app, target
from shared.artifacts import Manifest, libraries
from shared.errors import NotFound
from shared.events import ALGORITHMS, Algorithm, MatrixBuilt, ModelTrained
from shared.matrix import Split


def handle(event: MatrixBuilt, deps: bootstrap.Deps) -> None:
    """Fit each algorithm to the matrix, unless that model is stored already; store it; say so."""
    loaded: tuple[Split, Manifest] | None = None
    for algorithm in ALGORITHMS:
        parameters = core.PARAMETERS[algorithm]
        seed = deps.settings.train_seed
        version = core.model_version(event.matrix_id, algorithm, parameters, seed, libraries())
        if not stored(algorithm, version, deps):
            loaded = loaded or load(event.matrix_id, deps)
            train(algorithm, version, *loaded, deps)
        deps.publisher.publish(ModelTrained(algorithm, version, event.matrix_id))


def load(matrix_id: str, deps: bootstrap.Deps) -> tuple[Split, Manifest]:
    """Return a matrix, every file checked, and its story."""
    artifact = deps.artifacts.get(keys.matrix(matrix_id))
    return Split.from_files(matrix_id, artifact.files), artifact.manifest


def train(algorithm: Algorithm, version: str, split: Split, matrix: Manifest, deps: bootstrap.Deps) -> None:
    """Fit one model in a process of its own, so that this one stays alive to its probes, and store it."""
    parameters, seed = core.PARAMETERS[algorithm], deps.settings.train_seed
    started = time.perf_counter()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=die_with_parent) as pool:
        model = pool.submit(core.fit, split.train, algorithm, parameters, seed).result()
    seconds = time.perf_counter() - started
    manifest = deps.manifest(
        kind="model",
        id=version,
        made_from=keys.matrix(split.matrix_id),
        lake_version=matrix.lake_version,
        parameters={"algorithm": algorithm, "seed": seed, **parameters.as_dict()},
        metrics={"fit_seconds": round(seconds, 3), "n_ratings": split.train.n_ratings},
    )
    deps.artifacts.put(keys.model(algorithm, version), model.to_files(), manifest)
    telemetry.FIT_SECONDS.labels(algorithm).set(seconds)
    deps.log.info("model_trained", algorithm=algorithm, model=version, fit_seconds=round(seconds, 2))


def stored(algorithm: Algorithm, version: str, deps: bootstrap.Deps) -> bool:
    """Say whether this very model is stored already, as after a repeated event."""
    try:
        deps.artifacts.manifest(keys.model(algorithm, version))
    except NotFound:
        return False
    return True


def die_with_parent() -> None:
    """End this process when the one that started it is gone, so that no fit runs for nobody."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


app = event_app(lambda: bootstrap.build("train"), {MatrixBuilt: handle})

main = target(app)

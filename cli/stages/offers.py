"""Offers models that were made here to the users of a bucket: stored and told of as `train` does it.

`evaluate_offline` then measures them beside the live ones, and `rollout` gives them a trial, as any others.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from cli.stages.data import Source
from shared import forgotten, keys, rollout
from shared.adapters.files import DirectoryStore
from shared.artifacts import Artifact, ArtifactStore
from shared.bootstrap import Deps
from shared.errors import BadInput, Corrupt, NotFound
from shared.events import Algorithm, ModelTrained
from shared.forgotten import Forgotten
from shared.history import HISTORY, History
from shared.matrix import Split


def offer(
    algorithms: Iterable[Algorithm], source: Source, matrix: Path, models: Path, commit: str, deps: Deps
) -> Iterator[str]:
    """Store the models of a matrix, and the matrix, tell of each model, and yield what came of it, in words.

    A model that knows less of the lake than one that was accepted meanwhile would get no trial, and is left. One that
    was offered before is told of again, which changes nothing. `commit` is the code that made them.
    Raises: BadInput if they were not made of the lake of this bucket, or hold somebody who asked to be forgotten;
    Conflict if another thing is stored under their name; NotReady.
    """
    bucket = deps.settings.bucket
    if source.kind != "lake" or source.where != bucket or source.lake_version is None:
        raise BadInput(f"the models are of ratings from {source}, not from the lake of bucket {bucket}")
    left_out = forgotten.read(deps.objects)
    ratings = _made(matrix, source)
    if left_out.among(_users(ratings)):
        raise BadInput("somebody in these ratings asked to be forgotten since; `make fetch preprocess retrain` first")
    for algorithm in algorithms:
        model = _made(models / algorithm, source)
        version, matrix_id, service = model.manifest.id, ratings.manifest.id, keys.score_service(algorithm)
        if model.manifest.made_from != keys.matrix(matrix_id):
            raise BadInput(f"{models / algorithm} was not made from {matrix}; `make retrain` first")
        accepted = rollout.read(service, deps.channels.get(service)).lake_version
        if source.lake_version < accepted:
            yield f"{algorithm} model {version} is not offered: one of version {accepted} of the lake was accepted"
            continue
        _store(keys.matrix(matrix_id), ratings, commit, left_out, deps)
        _store(keys.model(algorithm, version), model, commit, left_out, deps)
        deps.publisher.publish(ModelTrained(algorithm, version, matrix_id))
        yield f"{algorithm} model {version} is offered"


def _made(folder: Path, source: Source) -> Artifact:
    """Return what was made in a folder of these ratings, every file checked. Raises: BadInput."""
    try:
        found = ArtifactStore(DirectoryStore(folder)).get(".")
    except (Corrupt, NotFound) as error:
        raise BadInput(f"{folder}: {error}; `make preprocess retrain` first") from error
    if found.manifest.lake_version != source.lake_version:
        raise BadInput(f"{folder} is not of {source}; `make fetch preprocess retrain` first")
    return found


def _users(matrix: Artifact) -> set[str]:
    split = Split.from_files(matrix.manifest.id, matrix.files)
    return {*split.train.users, *History.from_bytes(matrix.files[HISTORY]).users}


def _store(prefix: str, made: Artifact, commit: str, left_out: Forgotten, deps: Deps) -> None:
    forgotten.refuse_if_grown(deps.objects, left_out)
    deps.artifacts.put(prefix, made.files, made.manifest.model_copy(update={"git_commit": commit}))

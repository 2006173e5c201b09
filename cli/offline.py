"""Train, predict, evaluate and recommend from files alone, with the functions' own cores."""

import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from cli import ratings as files
from functions.build_matrix import core, gather
from functions.train import core as training
from functions.train import timed
from shared import accuracy
from shared.adapters.files import DirectoryStore
from shared.adapters.yaml_file import read_yaml
from shared.artifacts import ArtifactStore, Manifest, libraries
from shared.errors import BadInput, Conflict, Corrupt, NotFound
from shared.events import Algorithm
from shared.explanation import explanation
from shared.matrix import Split
from shared.model import FactorModel, places
from shared.ranking import top
from shared.recommendation import Explanation, Rung


def parameters(algorithm: Algorithm, source: Path | None, changes: Mapping[str, Any]) -> training.Parameters:
    """Return the parameters of an algorithm in a YAML file, the defaults without one, changed. Raises: BadInput."""
    try:
        known = training.parameters(read_yaml(source)) if source else training.DEFAULTS
    except BadInput as error:
        raise BadInput(f"{source}: {error}") from error
    if algorithm not in known:
        raise BadInput(f"{source}: no parameters for {algorithm}")
    return training.parameters({algorithm: known[algorithm].as_dict() | dict(changes)})[algorithm]


def train(
    source: Path, folder: Path, order: training.Order, warm_from: Path | None, on_epoch: training.OnEpoch
) -> dict[str, Any]:
    """Fit a model to all ratings of a file, store it in a folder, return what the manifest says. Raises: BadInput."""
    split = _split(files.read_ratings(source))
    warm, warmed_from = (load(warm_from), _manifest(warm_from).id) if warm_from else (None, None)
    model_id = training.model_version(split.matrix_id, order, libraries(), warmed_from)
    _refuse_occupied(folder, model_id)
    model, seconds = timed.fit(split.train, order, warm, on_epoch)
    manifest = Manifest(
        kind="model",
        id=model_id,
        created_at=datetime.now(UTC).isoformat(),
        made_from=source.name,
        warmed_from=warmed_from,
        python=platform.python_version(),
        libraries=libraries(),
        parameters=order.as_dict(),
        revision=training.REVISION,
        metrics={"fit_seconds": round(seconds, 4), "n_ratings": split.train.n_ratings},
    )
    try:
        stored = ArtifactStore(DirectoryStore(folder)).put(".", model.to_files(), manifest)
    except Conflict:
        raise _occupied(folder) from None
    except OSError as error:
        raise BadInput(f"{folder}: {error}") from error
    return {"model": str(folder), "id": stored.id, **stored.parameters, **stored.metrics}


def _refuse_occupied(folder: Path, model_id: str) -> None:
    """Say before a long fit that its model will have no place."""
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is not a folder")
    try:
        standing = ArtifactStore(DirectoryStore(folder)).manifest(".").id
    except (NotFound, Corrupt, OSError):
        return
    if standing != model_id:
        raise _occupied(folder)


def _occupied(folder: Path) -> BadInput:
    return BadInput(f"{folder} holds another model already; choose another folder, or remove it")


def _split(ratings: pa.Table) -> Split:
    return core.build(gather.ratings(ratings.to_batches()), validation_fraction=0)


def load(folder: Path) -> FactorModel:
    """Return the model that `train` stored. Raises: BadInput if there is none, or it fails a check."""
    with _readable(folder):
        return FactorModel.from_files(ArtifactStore(DirectoryStore(folder)).get(".").files)


def _manifest(folder: Path) -> Manifest:
    with _readable(folder):
        return ArtifactStore(DirectoryStore(folder)).manifest(".")


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except NotFound as error:
        raise BadInput(f"{folder} holds no model ({error} is missing); `marquee train` makes one") from error
    except (Corrupt, OSError) as error:
        raise BadInput(f"{folder}: the model is damaged: {error}") from error


def predict(folder: Path, pairs: Path, out: Path) -> int:
    """Write the expected rating of each pair of a file, in its order; return how many."""
    table = files.read_pairs(pairs)
    expected = load(folder).predict(table["user_id"].to_pylist(), table["movie_id"].to_pylist())
    try:
        csv.write_csv(table.append_column("prediction", pa.array(expected.astype(np.float64).round(6))), out)
    except OSError as error:
        raise BadInput(f"{out}: {error}") from error
    return len(table)


def evaluate(folder: Path, source: Path) -> dict[str, Any]:
    """Return a model's errors on a file's ratings, none of which it should have been trained on.

    `global_mean` is the baseline that predicts the model's mean for everybody; `known` holds the errors on ratings
    by users and of movies that the model knows, `unknown` on the others.
    """
    model = load(folder)
    table = files.read_ratings(source)
    users, movies = table["user_id"].to_pylist(), table["movie_id"].to_pylist()
    truth, expected = table["rating"].to_numpy(), model.predict(users, movies)
    known = np.array([u in model.user_index and m in model.movie_index for u, m in zip(users, movies, strict=True)])
    return {
        **errors(truth, expected),
        "global_mean": errors(truth, np.full(len(truth), model.mean)),
        "known": errors(truth[known], expected[known]),
        "unknown": errors(truth[~known], expected[~known]),
    }


def errors(truth: NDArray[Any], expected: NDArray[Any]) -> dict[str, Any]:
    """Return the number of ratings, and RMSE and MAE if there are any."""
    if not len(truth):
        return {"n": 0}
    return {"n": len(truth), "rmse": accuracy.rmse(truth, expected), "mae": accuracy.mae(truth, expected)}


def recommend(folder: Path, user_id: str, n: int, source: Path | None) -> list[Explanation]:
    """Return the n best movies for a user that the user has not rated in `source`, each with why it stands there.

    A user whom the model does not know is folded in from the ratings in `source`. Raises: BadInput if there are none.
    """
    model = load(folder)
    rated = _rated(source, user_id) if source else {}
    row = model.user_index.get(user_id)
    if row is None and not rated:
        there = f"{source} holds no rating of theirs" if source else "--seen can bring ratings of theirs"
        raise BadInput(f"the model in {folder} does not know user {user_id[:40]!r}, and {there}")
    user = model.fold_in((), rated) if row is None else model.profile(row)
    seen = places(list(rated), model.movie_index)
    seen = np.sort(seen[seen >= 0])
    rung: Rung = "folded_in" if row is None else "personal"
    model_id = _manifest(folder).id
    return [
        explanation(model, user, place, seen, user_id=user_id, rung=rung, model=model_id, revision="offline")
        for place in top(model, user, n, seen).places.tolist()
    ]


def _rated(source: Path, user_id: str) -> dict[str, float]:
    """Return what a user rated in a file, and the latest rating of each movie."""
    table = files.read_ratings(source)
    mine = _split(table.filter(pc.equal(table["user_id"], user_id))).train
    _, columns, values = mine.triples()
    return {mine.movies[column]: value for column, value in zip(columns.tolist(), values.tolist(), strict=True)}

"""The best movies for a user, from one model that never changes and what the user did since it was trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np

from functions.score.fresh import NEVER, Acts
from functions.score.panel import elect, numbered
from shared import keys
from shared.artifacts import Artifact, Manifest
from shared.errors import Corrupt, NotFound
from shared.events import Algorithm
from shared.explanation import explanation
from shared.history import NEWER, TRAINED, WATCHED, History
from shared.model import FactorModel, Places, Profile, places
from shared.ranking import Top, top
from shared.recommendation import N_POPULAR, Explanation, Rung


@dataclass(frozen=True, eq=False)
class Serving:
    """A model, its version, and what its users had done when its matrix was built.

    `places` has for each movie of the history its place in the model, -1 if the model does not know it.
    `lake_version` is the last that the matrix and its history know; it held all there was at `complete_at`, in seconds
    since 1970.
    """

    model_version: str
    matrix_id: str
    model: FactorModel
    history: History
    places: Places
    lake_version: int
    complete_at: float


class Known(NamedTuple):
    """A user as they are now, how that is known, and the places of all movies they have seen, in order."""

    profile: Profile
    rung: Rung
    seen: Places


def load(model: Artifact, matrix: Manifest, history: bytes, algorithm: Algorithm, version: str) -> Serving:
    """Return what answers requests, from a stored model and the matrix it was trained on, everything checked.

    Raises: Corrupt, also if the two do not belong together, or the model is not the one of this algorithm and version:
    whatever lies under a name, no answer shall be said to be by another model than it is.
    """
    told = model.manifest.id, model.manifest.parameters.get("algorithm", algorithm)
    if told != (version, algorithm):
        raise Corrupt(f"what is stored as {algorithm}@{version} is model {told[0]} of {told[1]}")
    made_from = model.manifest.made_from
    if model.manifest.kind != "model" or made_from != keys.matrix(matrix.id):
        raise Corrupt(f"model {model.manifest.id} was made from {made_from}, not from matrix {matrix.id}")
    factors = FactorModel.from_files(model.files)
    past = History.from_bytes(history)
    if not past.user_index.keys() >= factors.user_index.keys():
        raise Corrupt("the model has users that its matrix does not have")
    if matrix.lake_version is None:
        raise Corrupt(f"matrix {matrix.id} does not say which version of the lake it was built from")
    at = places(past.movies, factors.movie_index)
    return Serving(model.manifest.id, matrix.id, factors, past, at, matrix.lake_version, _complete_at(matrix))


def _complete_at(matrix: Manifest) -> float:
    """Return the moment after which the lake may have held more than a matrix knows, in seconds since 1970."""
    looked_at = matrix.lake_read_at or matrix.created_at
    try:
        return datetime.fromisoformat(looked_at).timestamp()
    except ValueError:
        raise Corrupt(f"matrix {matrix.id} was made from the lake at {looked_at[:40]!r}, which is no time") from None


def known(serving: Serving, user_id: str, acts: Acts) -> Known | None:
    """Return what is known of a user, None if nothing is: no act with a movie that the model knows.

    A user of training who did nothing that training did not see is as training left them; who did, or came later, is
    folded in. Of ratings of one movie the latest counts, so a record that is delivered again changes nothing.
    """
    model, past = serving.model, serving.history.of(user_id)
    at = serving.places[past.movies]
    trained = at[(past.kinds == TRAINED) & (at >= 0)]
    newer = (past.kinds == NEWER) & (at >= 0)
    rated = dict(zip(at[newer].tolist(), past.ratings[newer].tolist(), strict=True))
    was_rated = past.kinds != WATCHED
    rated_at = dict(zip(at[was_rated].tolist(), past.times[was_rated].tolist(), strict=True)) if acts.of else {}
    seen = set(at[at >= 0].tolist())
    for movie, act in acts.of.items():
        place = model.movie_index.get(movie)
        if place is None:
            continue
        seen.add(place)
        if act.rating is not None and act.rated_at > rated_at.get(place, NEVER):
            rated[place] = act.rating
    all_seen = np.array(sorted(seen), dtype=np.int64)
    ratings = np.fromiter(rated.values(), np.float64, len(rated))
    places_rated = np.fromiter(rated.keys(), np.int64, len(rated))
    row = model.user_index.get(user_id)
    if row is not None and len(all_seen) == len(trained) and not rated:
        return Known(model.profile(row), "personal", all_seen)
    if row is not None:
        return Known(model.since(model.profile(row), trained, all_seen, places_rated, ratings), "folded_in", all_seen)
    if not len(all_seen):
        return None
    return Known(model.newcomer(all_seen, places_rated, ratings), "folded_in", all_seen)


def top_n(serving: Serving, user: Known, n: int, exclude: Sequence[str]) -> tuple[list[str], Top]:
    """Return the n movies with the highest score that the user has neither seen nor excluded, and their numbers."""
    model = serving.model
    found = top(model, user.profile, n, np.concatenate([user.seen, places(exclude, model.movie_index)]))
    return [model.movies[place] for place in found.places], found


def why(serving: Serving, user: Known, user_id: str, movie: str, *, model: str, revision: str) -> Explanation:
    """Return the parts of a movie's score. Raises: NotFound if the model does not know the movie."""
    place = serving.model.movie_index.get(movie)
    if place is None:
        raise NotFound(f"model {serving.model_version} does not know movie {movie[:40]!r}")
    return explanation(
        serving.model, user.profile, place, user.seen, user_id=user_id, rung=user.rung, model=model, revision=revision
    )


def popular(history: History, fresh: Sequence[tuple[str, str]], n: int = N_POPULAR) -> list[str]:
    """Return what everybody likes these days, by the history's panel and the pairs of user and movie since."""
    voters, _ = numbered([user for user, _ in fresh], history.user_index)
    votes, new_movies = numbered([movie for _, movie in fresh], history.movie_index)
    voters, votes = np.concatenate([history.panel_users, voters]), np.concatenate([history.panel_movies, votes])
    names = [*history.movies, *new_movies]
    return [names[place] for place in elect(voters, votes, n)]

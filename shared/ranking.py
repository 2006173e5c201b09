"""The best movies for a user, without a look at those that cannot be among them."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.model import FactorModel, Floats, Profile

_FIRST_LOOK: Final = 256
_WIDER: Final = 8
_SAMPLE: Final = 16  # one movie of so many tells where about the most likely ones begin

Places = NDArray[np.int64]


class Top(NamedTuple):
    """Places of movies, best first, their scores, and what the user would rate each, unclipped; shapes (n,)."""

    places: Places
    scores: Floats
    ratings: Floats


def best(scores: Floats, n: int, without: Places) -> Places:
    """Return the places of the n highest scores, highest first, never one of `without`.

    Args: scores: shape (n_movies,); without: places, any number of times, -1 for none.
    Returns: at most n places, fewer if fewer are left. Of equal scores the lower place comes first.
    """
    allowed = np.ones(len(scores), dtype=bool)
    allowed[without[without >= 0]] = False
    places = np.flatnonzero(allowed)
    if len(places) > n:
        nth = -np.partition(-scores[places], n - 1)[n - 1]
        places = places[scores[places] >= nth]
    return places[np.lexsort((places, -scores[places]))][:n]


def top(model: FactorModel, user: Profile, n: int, without: Places) -> Top:
    """Return what `best` of the model's scores would, having rated but a few movies.

    A score is a chance times a number below 1, so no movie scores more than its chance: once the n-th best of the
    movies most likely to be watched scores as much as the chance of the last of them, nothing beyond can be better (the
    threshold algorithm of Fagin, Lotem, Naor, PODS 2001).
    """
    chances = model.watching.chances(user.taste)
    chances[without[without >= 0]] = -1
    n_likely = _FIRST_LOOK
    while n_likely < len(chances):
        sample = chances[::_SAMPLE]
        least = np.partition(sample, -n_likely // _SAMPLE)[-n_likely // _SAMPLE]
        found = _ranked(model, user, chances, np.flatnonzero(chances >= least), n)
        if len(found.places) == n and found.scores[-1] >= least:
            return found
        n_likely *= _WIDER
    return _ranked(model, user, chances, np.arange(len(chances)), n)


def _ranked(model: FactorModel, user: Profile, chances: Floats, places: Places, n: int) -> Top:
    places = places[chances[places] >= 0]
    ratings = model.ratings(user, places)
    scores = chances[places] * model.liking(ratings)
    first = best(scores, n, without=np.empty(0, np.int64))
    return Top(places[first], scores[first], ratings[first])

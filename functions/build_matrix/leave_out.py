"""Ratings and watches without those of some users, as if these had never been."""

from collections.abc import Collection
from dataclasses import replace
from itertools import compress
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from functions.build_matrix.gather import Ratings, Watches

Acts = TypeVar("Acts", Ratings, Watches)


def without(acts: Acts, theirs: Collection[str]) -> Acts:
    """Return what others than these users did; movies that nobody is left of go too. `offsets` says what was read."""
    if not theirs:
        return acts
    stays = ~np.isin(acts.rows, [place for place, user_id in enumerate(acts.users) if user_id in theirs])
    users, rows = _left(acts.users, acts.rows[stays])
    movies, columns = _left(acts.movies, acts.columns[stays])
    values = {name: getattr(acts, name)[stays] for name in ("values", "times", "is_latest") if hasattr(acts, name)}
    return replace(acts, users=users, movies=movies, rows=rows, columns=columns, **values)


def _left(ids: list[str], places: NDArray[np.int32]) -> tuple[list[str], NDArray[np.int32]]:
    """Return the ids that occur in places, and the places among those."""
    occurs = np.bincount(places, minlength=len(ids)) > 0
    return list(compress(ids, occurs)), (np.cumsum(occurs) - 1)[places].astype(np.int32)

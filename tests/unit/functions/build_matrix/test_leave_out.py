"""Users left out of what `build_matrix` holds."""

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from functions.build_matrix import gather
from functions.build_matrix.gather import Ratings, Watches
from functions.build_matrix.leave_out import without
from tests.ratings import checkerboard, gathered, table

RATED = [*checkerboard(4), ("1", "m0", 2.0, 5_000), ("9", "m9", 3.0, 10)]
USERS = st.sets(st.sampled_from(["1", "2", "3", "4", "9", "nobody"]))


def watched(rows: list[tuple[str, str, float, int]]) -> Watches:
    return gather.watches(table(rows).select(gather.WATCH_COLUMNS).to_batches())


def assert_same(some: Ratings | Watches, others: Ratings | Watches) -> None:
    for field in dataclasses.fields(some):
        if field.name != "offsets":
            np.testing.assert_array_equal(getattr(some, field.name), getattr(others, field.name))


@given(USERS)
def test_what_is_left_is_what_would_have_been_gathered_without_them(theirs: set[str]) -> None:
    """Movies that only they knew are gone, of the others all is there; the offsets still say what was read."""
    rest = [each for each in RATED if each[0] not in theirs]
    assert_same(without(gathered(RATED), theirs), gathered(rest))
    assert_same(without(watched(RATED), theirs), watched(rest))
    assert without(gathered(RATED), theirs).offsets == gathered(RATED).offsets


def test_nobody_left_out_costs_nothing() -> None:
    """It is the same object."""
    ratings = gathered(RATED)
    assert without(ratings, set()) is ratings

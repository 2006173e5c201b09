import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.build_matrix import core
from shared.errors import BadInput
from tests.ratings import checkerboard, gathered, split_of

RATINGS = st.lists(
    st.tuples(
        st.sampled_from(["1", "2", "3"]),
        st.sampled_from(["a", "b", "c", "d"]),
        st.sampled_from([0.5, 3.0, 5.0]),
        st.integers(0, 20),
    ),
    max_size=40,
)


def latest(ratings):
    """The rating of each pair that counts, with its time: the last in time, then in order of offset."""
    found = {}
    for user, movie, value, time in sorted(ratings, key=lambda rating: rating[3]):
        found[user, movie] = (value, time)
    return found


def cells(matrix):
    rows, columns, values = matrix.triples()
    return {(matrix.users[r], matrix.movies[c]): v for r, c, v in zip(rows, columns, values, strict=True)}


@given(RATINGS, st.sampled_from([0.0, 0.1, 0.5]))
def test_split_never_trains_on_the_future(ratings, fraction):
    """Every training rating is older than every validation rating, and together they are the latest of each pair."""
    split = split_of(ratings, fraction)
    expected = latest(ratings)
    train, validation = cells(split.train), cells(split.validation)
    assert train | validation == {pair: value for pair, (value, _) in expected.items()}
    assert not train.keys() & validation.keys()
    if train and validation:
        assert max(expected[pair][1] for pair in train) < min(expected[pair][1] for pair in validation)


def test_the_share_of_validation_is_what_was_asked_for():
    """Of 100 ratings at different times a tenth is newer."""
    split = split_of([("1", f"m{n}", 3.0, n) for n in range(100)], 0.1)
    assert (split.train.n_ratings, split.validation.n_ratings) == (90, 10)


@pytest.mark.parametrize(("early", "late", "n_train"), [(1, 0, 100), (85, 0, 85), (1, 5, 95), (89, 2, 89)])
def test_ratings_of_one_moment_stay_together_on_the_side_that_is_nearer(early, late, n_train):
    """Most of 100 ratings are of one moment: the border goes to that end of it which is nearer to the share."""
    moments = [0] * early + [1] * (100 - early - late) + [2] * late
    split = split_of([("1", f"m{n}", 3.0, moment) for n, moment in enumerate(moments)], 0.1)
    assert (split.train.n_ratings, split.validation.n_ratings) == (n_train, 100 - n_train)


def test_ratings_of_one_moment_are_all_trained_on():
    """There is no newer half of one moment."""
    split = split_of([("1", "a", 3.0, 5), ("2", "a", 4.0, 5)], 0.5)
    assert (split.train.n_ratings, split.validation.n_ratings) == (2, 0)


def test_another_rating_gives_another_name():
    """The name of a matrix is its content."""
    one = split_of([("1", "a", 3.0, 5)], 0.1)
    assert one.matrix_id != split_of([("1", "a", 3.5, 5)], 0.1).matrix_id
    assert one.matrix_id != split_of([("2", "a", 3.0, 5)], 0.1).matrix_id


def test_a_matrix_keeps_its_name():
    """Names are kept in manifests for years: the same ratings give the same name and the same bytes as ever."""
    split = split_of(checkerboard(6), 0.2)
    assert split.matrix_id == "fc2efffef6c899a8"
    assert hashlib.sha256(split.to_files()["train.npz"]).hexdigest().startswith("cd7e21a8cd11efe3")


def test_more_ratings_than_a_matrix_can_index_are_refused(monkeypatch):
    """The error says how many there are and how many may be, before anything is built."""
    monkeypatch.setattr(core, "MOST_CELLS", 34)
    with pytest.raises(BadInput, match=r"35 different pairs.* at most 34"):
        split_of(checkerboard(6), 0.2)


@pytest.mark.parametrize(
    ("new_ratings", "new_watches", "age_hours", "expected"),
    [
        (100, 0, None, True),
        (99, 9_999, None, False),
        (99, 9_999, 1.0, False),
        (100, 0, 1.0, True),
        (1, 0, 73.0, True),
        (0, 1, 73.0, True),
        (0, 0, 73.0, False),
    ],
)
def test_a_matrix_is_due_after_enough_ratings_or_enough_time(new_ratings, new_watches, age_hours, expected):
    """A hundred new ratings are enough, or three days and one new rating or watch; nothing new is never enough."""
    assert core.due(new_ratings, new_watches, age_hours, min_new_ratings=100, max_age_hours=72) is expected


def test_drift_of_the_same_ratings_is_nothing():
    """Compared with itself a matrix has not moved."""
    now = core.statistics(gathered([("1", "a", 3, 1), ("2", "b", 5, 2)]))
    drift = core.drift(now, now)
    assert drift is not None
    assert set(drift.values()) == {0.0}


def test_drift_shows_a_shift():
    """When all who gave 1 give 5, the index passes the line that stands for shifted."""
    before = core.statistics(gathered([("1", f"m{n}", 1, n) for n in range(20)]))
    now = core.statistics(gathered([("2", f"m{n}", 5, n) for n in range(20)]))
    drift = core.drift(before, now)
    assert drift is not None
    assert drift["population_stability_index"] > 0.25
    assert drift["mean_rating_change"] == 4


def test_the_first_matrix_has_no_drift():
    """There is nothing to compare it with; nor is there for no ratings."""
    nothing = core.statistics(gathered([]))
    assert nothing.mean_rating is None
    assert core.drift(None, core.statistics(gathered([("1", "a", 3, 1)]))) is None
    assert core.drift(nothing, nothing) is None


def test_large_matrices_keep_their_cells():
    """Pairs are told apart also where the product of users and movies is large."""
    chance = np.random.default_rng(1)
    pairs = {(str(u), str(m)) for u, m in chance.integers(1, 5_000, (3_000, 2))}
    ratings = [(user, movie, 3.0, n) for n, (user, movie) in enumerate(sorted(pairs))]
    assert split_of(ratings, 0.1).train.n_ratings == int(len(pairs) * 0.9)

"""What users did, stored and read back, and refused if it is odd."""

import numpy as np
import pytest

from shared import npz
from shared.errors import Corrupt
from shared.history import _ARRAYS, NEWER, TRAINED, WATCHED, History


def history():
    return History(
        ["1", "2", "3"],
        ["a", "b"],
        np.array([0, 2, 2, 3]),
        np.array([0, 1, 1], np.int32),
        np.array([4, 0, 2], np.float32),
        np.array([10, 20, 30]),
        np.array([TRAINED, WATCHED, NEWER], np.uint8),
        np.array([0, 2], np.int32),
        np.array([0, 1], np.int32),
    )


def test_what_is_stored_comes_back():
    """Each user's pairs, and the panel."""
    found = History.from_bytes(history().to_bytes())
    assert found.users == ["1", "2", "3"]
    past = found.of("1")
    assert past.movies.tolist() == [0, 1]
    assert past.ratings.tolist() == [4, 0]
    assert past.times.tolist() == [10, 20]
    assert past.kinds.tolist() == [TRAINED, WATCHED]
    assert found.of("3").movies.tolist() == [1]
    assert found.panel_users.tolist() == [0, 2]
    for nobody in ("2", "4"):
        assert len(found.of(nobody).movies) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"indptr": np.array([0, 2, 1, 3])},
        {"indptr": np.array([0, 2, 2, 9])},
        {"indptr": np.array([1, 2, 2, 3])},
        {"indptr": np.array([0, 3])},
        {"indices": np.array([0, 1, 2], np.int32)},
        {"indices": np.array([0, -1, 1], np.int32)},
        {"indices": np.array([0, 1], np.int32)},
        {"ratings": np.array([4, np.nan, 2], np.float32)},
        {"kinds": np.array([0, 1, 3], np.uint8)},
        {"times": np.array([10, 20])},
        {"panel_users": np.array([0, 3], np.int32)},
        {"panel_movies": np.array([0], np.int32)},
        {"panel_movies": np.array([0, 2], np.int32)},
    ],
)
def test_a_history_that_does_not_fit_together_is_corrupt(change):
    """Nothing that would read beyond an array is ever used."""
    arrays = npz.load(history().to_bytes(), _ARRAYS) | change
    with pytest.raises(Corrupt):
        History.from_bytes(npz.dump(arrays))


def test_any_other_bytes_are_corrupt():
    """Nor is what is no npz at all."""
    with pytest.raises(Corrupt):
        History.from_bytes(b"history")

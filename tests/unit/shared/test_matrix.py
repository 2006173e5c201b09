import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import npz
from shared.errors import Corrupt
from shared.matrix import TRAIN, VALIDATION, VOCABULARY, Split
from tests.ratings import checkerboard, split_of

SPLIT = split_of(checkerboard(6), 0.2)
FILES = SPLIT.to_files()


def test_a_split_comes_back_as_it_went_in():
    """What is loaded equals what was stored, and is stored again as the same bytes."""
    loaded = Split.from_files(SPLIT.matrix_id, FILES)
    assert (loaded.train.ratings != SPLIT.train.ratings).nnz == 0
    assert (loaded.train.users, loaded.validation.movies) == (SPLIT.train.users, SPLIT.train.movies)
    assert loaded.to_files() == FILES


def test_triples_are_the_cells():
    """Row by row, one triple for each rating."""
    rows, columns, ratings = SPLIT.train.triples()
    assert len(rows) == SPLIT.train.n_ratings == len(ratings)
    assert SPLIT.train.ratings[rows[3], columns[3]] == ratings[3]


def test_rated_can_ask_for_high_ratings_only():
    """Of all that a user rated, those rated at least so high."""
    row = SPLIT.train.user_index["2"]
    assert set(SPLIT.train.rated(row)) > set(SPLIT.train.rated(row, at_least=4))
    assert all(SPLIT.train.ratings[row, column] >= 4 for column in SPLIT.train.rated(row, at_least=4))


@given(st.sampled_from(sorted(FILES)), st.randoms(use_true_random=False))
def test_a_damaged_file_is_refused_or_says_the_same(name, chance):
    """Even without the manifest's checksum, a flipped bit gives Corrupt or a well-formed matrix, never a crash."""
    data = bytearray(FILES[name])
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    try:
        loaded = Split.from_files("m", {**FILES, name: bytes(data)})
    except Corrupt:
        return
    loaded.train.ratings @ np.ones(loaded.train.ratings.shape[1], dtype=np.float32)


def csr(indices, indptr, shape=(6, 6)):
    arrays = {
        "data": np.ones(len(indices), "<f4"),
        "shape": np.array(shape, "<i8"),
        "indices": np.array(indices, "<i4"),
        "indptr": np.array(indptr, "<i4"),
    }
    return npz.dump(arrays)


@pytest.mark.parametrize(
    "train",
    [
        csr([10**6], [0, 1, 1, 1, 1, 1, 1]),
        csr([-1], [0, 1, 1, 1, 1, 1, 1]),
        csr([1], [0, 2, 1, 1, 1, 1, 1]),
        csr([1], [0, 1]),
        csr([1, 1], [0, 2, 2, 2, 2, 2, 2]),
        csr([2, 1], [0, 2, 2, 2, 2, 2, 2]),
        csr([1], [0, 1, 1, 1, 1, 1, 1, 1], shape=(7, 6)),
    ],
)
def test_indices_that_would_crash_later_are_refused_now(train):
    """An index outside the shape, pointers that do not fit, and cells that stand twice are Corrupt."""
    with pytest.raises(Corrupt):
        Split.from_files("m", {**FILES, TRAIN: train})


def vocabulary(kinds, ids, name="id"):
    sink = io.BytesIO()
    pq.write_table(pa.table({"kind": pa.array(kinds, pa.string()), name: pa.array(ids, pa.string())}), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"PAR1 not really",
        vocabulary(["user"], ["1"], name="name"),
        vocabulary(["user"], [None]),
        vocabulary(["user", "user"], ["1", "1"]),
        vocabulary(["director"], ["1"]),
        vocabulary(["user"], ["1"]),
    ],
)
def test_a_vocabulary_that_cannot_be_is_refused(data):
    """Other columns, missing or repeated ids, other kinds, and another size than the matrix."""
    with pytest.raises(Corrupt):
        Split.from_files("m", {**FILES, VOCABULARY: data})


@pytest.mark.parametrize("name", [TRAIN, VALIDATION, VOCABULARY])
def test_a_missing_file_is_named(name):
    """A matrix without one of its files is Corrupt."""
    with pytest.raises(Corrupt, match=name):
        Split.from_files("m", {key: data for key, data in FILES.items() if key != name})

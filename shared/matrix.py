"""The rating matrix: who rated what how, in compressed sparse rows, split by time."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

from shared import npz
from shared.errors import Corrupt

TRAIN: Final = "train.npz"
VALIDATION: Final = "validation.npz"
VOCABULARY: Final = "vocabulary.parquet"

_CSR: Final = {
    "data": npz.Spec("<f4", 1),
    "indices": npz.Spec("<i4", 1),
    "indptr": npz.Spec("<i4", 1),
    "shape": npz.Spec("<i8", 1),
}


@dataclass(frozen=True)
class RatingMatrix:
    """Ratings in compressed sparse rows, shape (n_users, n_movies), float32; a stored cell is a rating.

    Row `i` is the user `users[i]`, column `j` the movie `movies[j]`, by the site's ids.
    """

    ratings: sparse.csr_array
    users: list[str]
    movies: list[str]

    @property
    def n_ratings(self) -> int:
        """How many ratings there are."""
        return int(self.ratings.nnz)

    @cached_property
    def user_index(self) -> dict[str, int]:
        """The row of each user."""
        return {user_id: row for row, user_id in enumerate(self.users)}

    def without(self, user_id: str) -> "RatingMatrix":
        """Return the matrix without a user's row; itself if there is no such user."""
        row = self.user_index.get(user_id)
        if row is None:
            return self
        stay = np.delete(np.arange(len(self.users)), row)
        return RatingMatrix(self.ratings[stay], [self.users[each] for each in stay], self.movies)

    def triples(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (rows, columns, ratings), each of shape (n_ratings,), row by row."""
        cells = self.ratings.tocoo()
        return cells.coords[0], cells.coords[1], cells.data

    def rated(self, row: int, at_least: float = -np.inf) -> np.ndarray:
        """Return the columns that a row has rated so high."""
        mine = slice(*self.ratings.indptr[row : row + 2])
        return self.ratings.indices[mine][self.ratings.data[mine] >= at_least]


@dataclass(frozen=True)
class Split:
    """Older ratings to train on and newer ones to validate on, over one vocabulary."""

    matrix_id: str
    train: RatingMatrix
    validation: RatingMatrix

    def without(self, user_id: str) -> "Split":
        """Return the split without a user's rows; itself if there is no such user."""
        if user_id not in self.train.user_index:
            return self
        return replace(self, train=self.train.without(user_id), validation=self.validation.without(user_id))

    def to_files(self) -> dict[str, bytes]:
        """Return the split as the files of an artifact."""
        sink = io.BytesIO()
        kinds = ["user"] * len(self.train.users) + ["movie"] * len(self.train.movies)
        vocabulary = pa.table({"kind": kinds, "id": [*self.train.users, *self.train.movies]}, schema=_VOCABULARY)
        pq.write_table(vocabulary, sink, compression="zstd")
        return {
            TRAIN: _dump(self.train.ratings),
            VALIDATION: _dump(self.validation.ratings),
            VOCABULARY: sink.getvalue(),
        }

    @classmethod
    def from_files(cls, matrix_id: str, files: Mapping[str, bytes]) -> "Split":
        """Return a stored split, every file checked. Raises: Corrupt."""
        missing = {TRAIN, VALIDATION, VOCABULARY} - set(files)
        if missing:
            raise Corrupt(f"matrix {matrix_id} lacks {sorted(missing)}")
        users, movies = _vocabulary(files[VOCABULARY])
        shape = (len(users), len(movies))
        return cls(
            matrix_id,
            RatingMatrix(_load(files[TRAIN], shape), users, movies),
            RatingMatrix(_load(files[VALIDATION], shape), users, movies),
        )


_VOCABULARY: Final = pa.schema([("kind", pa.string()), ("id", pa.string())])


def _dump(ratings: sparse.csr_array) -> bytes:
    parts = {"data": ratings.data, "shape": ratings.shape, "indices": ratings.indices, "indptr": ratings.indptr}
    return npz.dump({name: np.asarray(part, dtype=_CSR[name].dtype) for name, part in parts.items()})


def _load(data: bytes, shape: tuple[int, int]) -> sparse.csr_array:
    parts = npz.load(data, _CSR)
    if parts["shape"].tolist() != list(shape):
        raise Corrupt(f"matrix of shape {parts['shape'].tolist()}, vocabulary of {shape}")
    try:
        ratings = sparse.csr_array((parts["data"], parts["indices"], parts["indptr"]), shape=shape)
        ratings.check_format(full_check=True)  # an index outside the shape would crash the process later
    except ValueError as error:
        raise Corrupt(f"not a matrix in compressed sparse rows: {error}") from error
    if not ratings.has_canonical_format:
        raise Corrupt("a matrix with unsorted or repeated cells")
    return ratings


def _vocabulary(data: bytes) -> tuple[list[str], list[str]]:
    try:
        table = pq.read_table(io.BytesIO(data))
        table.validate(full=True)  # text that is not UTF-8 would come out as an error of another kind
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last for the names of columns
        raise Corrupt(f"not a vocabulary: {error}") from error
    if not table.schema.equals(_VOCABULARY) or table["id"].null_count:
        raise Corrupt("not a vocabulary: other columns, or a missing id")
    ids: dict[str, list[str]] = {"user": [], "movie": []}
    for kind, name in zip(table["kind"].to_pylist(), table["id"].to_pylist(), strict=True):
        if kind not in ids:
            raise Corrupt(f"not a vocabulary: ids of kind {kind!r}")
        ids[kind].append(name)
    for names in ids.values():
        if len(set(names)) != len(names):
            raise Corrupt("not a vocabulary: an id stands twice")
    return ids["user"], ids["movie"]

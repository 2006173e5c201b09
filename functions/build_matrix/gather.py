"""The lake's ratings in compact columns: each record once, ids as numbers, and which rating of a pair counts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shared.columns import BLOCK_ROWS, Codes, blocks
from shared.errors import Corrupt

COLUMNS: Final = ("user_id", "movie_id", "rating", "time", "topic", "partition", "offset", "ingested_at")

_TEXTS: Final = ("user_id", "movie_id", "topic")
_TYPES: Final = {
    **dict.fromkeys(_TEXTS, np.int32),
    "rating": np.float64,
    "time": np.int64,
    "partition": np.int32,
    "offset": np.int64,
    "ingested_at": np.int64,
}
_PART_BITS: Final = 6
_ODD: Final = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: neighbours end up far apart

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Ratings:
    """Ratings, each record of the stream once, in no particular order; arrays of shape (n,), 25 bytes a rating.

    `rows` and `columns` are places in `users` and `movies`, which are sorted and hold nobody without a rating.
    `times` are microseconds since 1970, UTC. Of several ratings by one user of one movie `is_latest` holds for one.
    `offsets` says what was read: `{"topic-partition": [first, last]}`.
    """

    users: list[str]
    movies: list[str]
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    values: NDArray[np.float64]
    times: NDArray[np.int64]
    is_latest: NDArray[np.bool_]
    offsets: dict[str, list[int]]


def ratings(batches: Iterable[pa.RecordBatch], block_rows: int = BLOCK_ROWS) -> Ratings:
    """Return the ratings of batches with `COLUMNS`; the order of batches and rows does not matter.

    Of the rows of one (topic, partition, offset) the one that was taken in first counts; then, of the ratings of one
    (user, movie), the latest by (time, topic, partition, offset). Batches are let go once they make `block_rows`; 48
    bytes a row are held while reading. Raises: Corrupt, naming a record and what is wrong with it.
    """
    texts, held = _columns(blocks(batches, block_rows))
    once = standing([held["topic"], held["partition"], held["offset"]], [-held.pop("ingested_at")])
    for name in held:
        held[name] = held[name][once]
    topics, held["topic"] = _sorted(texts["topic"], held["topic"])
    users, rows = _sorted(texts["user_id"], held.pop("user_id"))
    movies, columns = _sorted(texts["movie_id"], held.pop("movie_id"))
    is_latest = standing([rows, columns], [held[name] for name in ("time", "topic", "partition", "offset")])
    offsets = _offset_ranges(topics, held)
    return Ratings(users, movies, rows, columns, held["rating"], held["time"], is_latest, offsets)


@dataclass(frozen=True)
class Watches:
    """Who watched what, each pair once, by user and movie; arrays of shape (n,).

    `rows` and `columns` are places in `users` and `movies`, which are sorted; `times` are those of the latest minute
    watched, microseconds since 1970, UTC.
    """

    users: list[str]
    movies: list[str]
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    times: NDArray[np.int64]


WATCH_COLUMNS: Final = ("user_id", "movie_id", "time")


def watches(batches: Iterable[pa.RecordBatch], block_rows: int = BLOCK_ROWS) -> Watches:
    """Return who watched what of batches with `WATCH_COLUMNS`; a row is a minute, and rows may repeat.

    Pairs are joined whenever their number has doubled, so that twice as many as there are different ones are held.
    Raises: Corrupt if a value is missing.
    """
    users, movies = Codes(), Codes()
    pairs, times = np.empty(0, np.int64), np.empty(0, np.int64)
    waiting: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    n_waiting = 0
    for block in blocks(batches, block_rows):
        for name in WATCH_COLUMNS:
            if block[name].null_count:
                raise Corrupt(f"a watch without {name}")
        codes = users.of(block["user_id"]).astype(np.int64) << 32 | movies.of(block["movie_id"])
        waiting.append(_latest(codes, block["time"].cast(pa.int64()).to_numpy(zero_copy_only=False)))
        n_waiting += len(waiting[-1][0])
        if n_waiting > max(len(pairs), block_rows):
            pairs, times = _joined([(pairs, times), *waiting])
            waiting, n_waiting = [], 0
    pairs, times = _joined([(pairs, times), *waiting])
    user_ids, rows = _sorted(users.texts, (pairs >> 32).astype(np.int32))
    movie_ids, columns = _sorted(movies.texts, (pairs & 0xFFFFFFFF).astype(np.int32))
    order = np.lexsort((columns, rows))
    return Watches(user_ids, movie_ids, rows[order], columns[order], times[order])


def _joined(
    parts: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return _latest(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _latest(pairs: NDArray[np.int64], times: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the different pairs, sorted, and the latest time of each."""
    order = np.argsort(pairs, kind="stable")
    pairs, times = pairs[order], times[order]
    firsts = np.flatnonzero(np.diff(pairs, prepend=-1))
    return pairs[firsts], np.maximum.reduceat(times, firsts) if len(firsts) else times


def standing(keys: Sequence[NDArray[Any]], order: Sequence[NDArray[Any]]) -> NDArray[np.bool_]:
    """Return which rows stand, shape (n,): of those that are equal in all keys, the last in order.

    Args: keys: whole numbers, shape (n,) each; order: what to compare by, the most important first.
    Rows are dealt into parts by a hash of their keys, and of a part only those are sorted whose hash shares a slot of
    a table with another's: most rows stand alone, and the parts bound the memory if they do not.
    """
    stands = np.ones(len(keys[0]), dtype=np.bool_)
    hashes = _hashes(keys)
    part_of = np.empty(len(hashes), dtype=np.uint8)
    np.right_shift(hashes, 64 - _PART_BITS, out=part_of, casting="unsafe")
    for part in range(2**_PART_BITS):
        rows = np.flatnonzero(part_of == part)
        rows = rows[_is_shared(_slots(hashes[rows]))]
        rows = rows[np.lexsort([column[rows] for column in reversed([*keys, *order])])]
        has_next = np.logical_and.reduce([key[rows[1:]] == key[rows[:-1]] for key in keys])
        stands[rows[:-1][has_next]] = False
    return stands


def _columns(blocks: Iterable[pa.RecordBatch]) -> tuple[dict[str, pa.Array], Columns]:
    """Return the different texts of each column of texts, and all columns as numbers."""
    codes = {name: Codes() for name in _TEXTS}
    held: Columns = {name: np.empty(0, dtype=kind) for name, kind in _TYPES.items()}
    for block in blocks:
        _refuse_if_incomplete(block)
        for name, numbers in held.items():
            column = block[name]
            new = codes[name].of(column) if name in codes else column.to_numpy(zero_copy_only=False)
            numbers.resize(len(numbers) + len(new), refcheck=False)  # moves the pages of a large array, and copies none
            numbers[-len(new) :] = new.astype(numbers.dtype, copy=False)
    return {name: each.texts for name, each in codes.items()}, held


def _refuse_if_incomplete(block: pa.RecordBatch) -> None:
    """Raise Corrupt if a value is missing, or if a rating is not a finite float32."""
    for name in COLUMNS:
        column = block[name]
        is_good = pc.is_finite(column.cast(pa.float32(), safe=False)) if name == "rating" else column.is_valid()
        row = pc.index(is_good.fill_null(False), False).as_py()
        if row >= 0:
            topic, partition, offset = (block[part][row] for part in ("topic", "partition", "offset"))
            raise Corrupt(f"the rating at {topic}-{partition}, offset {offset}: {name} is {column[row]}")


def _hashes(keys: Sequence[NDArray[Any]]) -> NDArray[np.uint64]:
    """Return a number for each row, shape (n,): rows of equal keys have equal numbers, others hardly ever."""
    hashes = np.zeros(len(keys[0]), dtype=np.uint64)
    for key in keys:
        np.add(hashes, key, out=hashes, dtype=np.uint64, casting="unsafe")
        hashes *= _ODD
    return hashes


def _slots(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return each row's slot in a table with at least 8 slots a row, but no more than 2^22."""
    bits = min(22, len(hashes).bit_length() + 3)
    return ((hashes << np.uint64(_PART_BITS)) >> np.uint64(64 - bits)).astype(np.int64)


def _is_shared(slots: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether another row has the same slot."""
    is_shared: NDArray[np.bool_] = np.bincount(slots)[slots] > 1
    return is_shared


def _sorted(texts: pa.Array, codes: NDArray[np.int32]) -> tuple[list[str], NDArray[np.int32]]:
    """Return the texts that occur, sorted, and each row's place among them."""
    occurs = np.zeros(len(texts), dtype=np.bool_)
    occurs[codes] = True
    ids = texts.filter(pa.array(occurs)).sort()
    places = pc.index_in(texts, value_set=ids).fill_null(-1).to_numpy()
    return ids.to_pylist(), places[codes]


def _offset_ranges(topics: Sequence[str], held: Mapping[str, NDArray[Any]]) -> dict[str, list[int]]:
    """Return the first and the last offset of each partition, in order."""
    place = ["topic", "partition"]
    rows = pa.table({name: held[name] for name in [*place, "offset"]})
    found = rows.group_by(place).aggregate([("offset", "min"), ("offset", "max")])
    return {
        f"{topics[row['topic']]}-{row['partition']}": [row["offset_min"], row["offset_max"]]
        for row in found.sort_by([(name, "ascending") for name in place]).to_pylist()
    }

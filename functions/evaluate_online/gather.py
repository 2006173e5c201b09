"""The lake's rows of lists and acts, batch by batch into compact columns; in which order they come does not matter."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from functions.evaluate_online.lists import Acts, Bools, Ints, Lists, Times, firsts
from shared.columns import Codes, blocks
from shared.errors import Corrupt

_RECORD: Final = ("user_id", "time", "partition", "offset", "ingested_at")
_LABELS: Final = ("arm", "revision")
LIST_COLUMNS: Final = (*_RECORD, "movies", "latency_ms", *_LABELS)
REQUEST_COLUMNS: Final = (*_RECORD, "movies", "latency_ms", "status")
WATCH_COLUMNS: Final = ("user_id", "time", "movie_id", "minute")
RATING_COLUMNS: Final = ("user_id", "time", "movie_id", "rating")

_PARTITION_BITS: Final = 48
_OK: Final = 200


@dataclass
class Ids:
    """The users and movies so far, each with a number."""

    users: Codes = field(default_factory=Codes)
    movies: Codes = field(default_factory=Codes)


@dataclass(frozen=True)
class _Part:
    """The lists of one block, and what tells a record that is there already: where it stands, when it was taken in."""

    lists: Lists
    places: Times
    ingested: Times


def served(batches: Iterable[pa.RecordBatch], ids: Ids, since: int) -> Lists:
    """Return the served lists of batches with `LIST_COLUMNS`, from a moment on. Raises: Corrupt."""
    codes = {name: Codes() for name in _LABELS}
    parts = []
    for block in _blocks(batches, _RECORD):
        block = block.filter(pa.array(_times(block) >= since))
        labels = {name: each.of(block[name].fill_null("")) for name, each in codes.items()}
        parts.append(_part(block, ids, ids.users.of(block["user_id"]), np.zeros(len(block), np.bool_), labels))
    return _joined(parts, {name: each.texts.to_pylist() for name, each in codes.items()})


def requests(batches: Iterable[pa.RecordBatch], ids: Ids) -> Lists:
    """Return what the site got for the users known so far, of batches with `REQUEST_COLUMNS`. Raises: Corrupt."""
    parts = []
    for block in _blocks(batches, _RECORD):
        block = block.filter(pa.array(ids.users.known(block["user_id"]) >= 0))
        failed = block["status"].fill_null(0).to_numpy() != _OK
        parts.append(_part(block, ids, ids.users.known(block["user_id"]), failed, {}))
    return _joined(parts, {})


def acts(batches: Iterable[pa.RecordBatch], ids: Ids, value: str, since: int, until: int, clock_ahead: int) -> Acts:
    """Return what the users known so far did from a moment on and before another; `value` is the column that says how.

    The clock of those who wrote it down is `clock_ahead` microseconds ahead of the one that is meant. Raises: Corrupt.
    """
    parts: list[tuple[Ints, Ints, Times, NDArray[Any]]] = []
    for block in _blocks(batches, ("user_id", "time", "movie_id", value)):
        users, times = ids.users.known(block["user_id"]), _times(block) - clock_ahead
        wanted = (users >= 0) & (times >= since) & (times < until)
        movies = ids.movies.of(block["movie_id"].filter(pa.array(wanted)))
        parts.append((users[wanted], movies, times[wanted], block[value].to_numpy()[wanted]))
    nothing = (np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int32))
    return Acts(*(np.concatenate(column) for column in zip(*(parts or [nothing]), strict=True)))


def _part(block: pa.RecordBatch, ids: Ids, users: Ints, failed: Bools, labels: dict[str, Ints]) -> _Part:
    lists = block["movies"].fill_null([])
    if lists.flatten().null_count:
        raise Corrupt("a list with a movie without an id")
    movies, lengths = ids.movies.of(lists.flatten()), pc.list_value_length(lists).to_numpy()
    is_first = _firsts_in_lists(movies, lengths)
    ends = np.concatenate([[0], np.cumsum(is_first, dtype=np.int64)])[np.cumsum(lengths, dtype=np.int64)]
    milliseconds = block["latency_ms"].fill_null(0).to_numpy().astype(np.float32)
    columns = Lists(users, _times(block), movies[is_first], ends, milliseconds, failed | (lengths == 0), labels, {})
    places = block["partition"].to_numpy().astype(np.int64) << _PARTITION_BITS | block["offset"].to_numpy()
    return _Part(columns, places, _times(block, "ingested_at"))


def _firsts_in_lists(movies: Ints, lengths: Times) -> Bools:
    """Return which movies of lists do not stand earlier in the same one, shape (n_movies,)."""
    is_first = np.ones(len(movies), dtype=np.bool_)
    keys = np.repeat(np.arange(len(lengths), dtype=np.int64) << 32, lengths) | movies
    ordered = np.sort(keys)
    if (ordered[1:] == ordered[:-1]).any():  # hardly ever
        is_first[:] = False
        is_first[np.unique(keys, return_index=True)[1]] = True
    return is_first


def _joined(parts: list[_Part], texts: dict[str, list[str]]) -> Lists:
    """Return the lists of all parts by time; of a record that was stored twice what was taken in first."""
    ints, longs = np.empty(0, np.int32), np.empty(0, np.int64)
    lists = [part.lists for part in parts]
    lengths = np.concatenate([longs, *(each.lengths for each in lists)])
    everything = Lists(
        np.concatenate([ints, *(each.users for each in lists)]),
        np.concatenate([longs, *(each.times for each in lists)]),
        np.concatenate([ints, *(each.movies for each in lists)]),
        np.cumsum(lengths),
        np.concatenate([np.empty(0, np.float32), *(each.milliseconds for each in lists)]),
        np.concatenate([np.empty(0, np.bool_), *(each.failed for each in lists)]),
        {name: np.concatenate([ints, *(each.labels[name] for each in lists)]) for name in texts},
        texts,
    )
    places = np.concatenate([longs, *(part.places for part in parts)])
    rows = firsts(places, np.concatenate([longs, *(part.ingested for part in parts)]))
    return everything.take(rows[np.argsort(everything.times[rows], kind="stable")])


def _blocks(batches: Iterable[pa.RecordBatch], needed: Iterable[str]) -> Iterator[pa.RecordBatch]:
    """Yield batches as blocks. Raises: Corrupt if what every row of their kind has is missing."""
    for block in blocks(batches):
        for name in needed:
            if block[name].null_count:
                raise Corrupt(f"a row without {name}")
        yield block


def _times(block: pa.RecordBatch, name: str = "time") -> Times:
    times: Times = block[name].cast(pa.int64()).to_numpy()
    return times

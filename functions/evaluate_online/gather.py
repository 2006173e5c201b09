"""The lake's rows of lists and acts, batch by batch into compact columns; in which order they come does not matter."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from functions.evaluate_online.lists import Acts, Arrivals, Bools, Ints, Lists, Requests, Times, firsts, mixed
from shared.columns import Codes, blocks
from shared.errors import Corrupt
from shared.events import MOVIELOG

_RECORD: Final = ("user_id", "time", "partition", "offset", "ingested_at")
LIST_COLUMNS: Final = (*_RECORD, "movies", "latency_ms", "arm", "revision")
REQUEST_COLUMNS: Final = (*_RECORD, "movies", "latency_ms", "status")
ARRIVAL_COLUMNS: Final = ("topic", "partition", "offset", "time", "ingested_at")
WATCH_COLUMNS: Final = ("user_id", "time", "ingested_at", "movie_id", "minute")
RATING_COLUMNS: Final = ("user_id", "time", "ingested_at", "movie_id", "rating")

_PARTITION_BITS: Final = 48
_OK: Final = 200

Columns = dict[str, NDArray[Any]]
_TYPES: Final = {
    "users": np.int32,
    "times": np.int64,
    "contents": np.uint64,
    "milliseconds": np.float32,
    "failed": np.bool_,
    "arms": np.int32,
    "revisions": np.int32,
    "lengths": np.int64,
    "places": np.int64,
    "ingested": np.int64,
}


@dataclass
class Ids:
    """The users and movies so far, each with a number."""

    users: Codes = field(default_factory=Codes)
    movies: Codes = field(default_factory=Codes)


def served(batches: Iterable[pa.RecordBatch], ids: Ids, since: int) -> Lists:
    """Return the served lists of batches with `LIST_COLUMNS`, from a moment on. Raises: Corrupt."""
    labels, parts, shelf = Codes(), [], [np.empty(0, np.int32)]
    for block in _blocks(batches, _RECORD):
        block = _chosen(block, _times(block) >= since)
        part, movies = _part(block, ids.users.of(block["user_id"]), ids)
        is_first = _firsts_in_lists(movies, part["lengths"])
        shelf.append(movies[is_first])
        part["lengths"] = _sums(is_first, part["lengths"])
        parts.append(part | {f"{name}s": labels.of(block[name].fill_null("")) for name in ("arm", "revision")})
    columns, rows = _joined(parts, Lists.columns)
    rows = _told_once(columns, rows)
    columns["starts"] = np.cumsum(columns["lengths"]) - columns["lengths"]
    texts = {text: number for number, text in enumerate(labels.texts.to_pylist())}
    return Lists(**columns, shelf=np.concatenate(shelf), texts=texts).take(rows)


def requests(batches: Iterable[pa.RecordBatch], ids: Ids) -> Requests:
    """Return what the site got for the users known so far, of batches with `REQUEST_COLUMNS`. Raises: Corrupt."""
    parts = []
    for block in _blocks(batches, _RECORD):
        users = ids.users.known(block["user_id"])
        block = _chosen(block, users >= 0)
        part, _ = _part(block, users[users >= 0], ids)
        part["failed"] |= block["status"].fill_null(0).to_numpy() != _OK
        parts.append(part)
    columns, rows = _joined(parts, Requests.columns)
    return Requests(**columns).take(rows)


def acts(batches: Iterable[pa.RecordBatch], ids: Ids, value: str, since: int, until: int, clock_ahead: int) -> Acts:
    """Return what the users known so far did from a moment on and before another; `value` is the column that says how.

    The clock of those who wrote it down is `clock_ahead` microseconds ahead of the one that is meant; what is still
    dated after it was taken in, as by one server whose clock is further ahead, happened then at the latest.
    Raises: Corrupt.
    """
    parts = [(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int32))]
    for block in _blocks(batches, ("user_id", "time", "ingested_at", "movie_id", value)):
        users = ids.users.known(block["user_id"])
        times = np.minimum(_times(block) - clock_ahead, _times(block, "ingested_at"))
        wanted = (users >= 0) & (times >= since) & (times < until)
        movies = ids.movies.of(_chosen(block, wanted)["movie_id"])
        parts.append((users[wanted], movies, times[wanted], block[value].to_numpy()[wanted]))
    return Acts(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def arrivals(batches: Iterable[pa.RecordBatch], clock_ahead: int) -> Arrivals:
    """Return the records of the site's log of batches with `ARRIVAL_COLUMNS`, by our clock. Raises: Corrupt."""
    parts = [(np.empty(0, np.int32), *[np.empty(0, np.int64)] * 3)]
    for block in _blocks(batches, ("topic", "partition", "offset", "ingested_at")):
        block = _chosen(block, pc.equal(block["topic"], MOVIELOG).to_numpy(zero_copy_only=False))
        ingested = _times(block, "ingested_at")
        times = block["time"].cast(pa.int64()).fill_null(0).to_numpy() - clock_ahead
        is_dated = ~block["time"].is_null().to_numpy(zero_copy_only=False)
        times = np.minimum(np.where(is_dated, times, ingested), ingested)
        parts.append((block["partition"].to_numpy(), block["offset"].to_numpy(), times, ingested))
    return Arrivals(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _part(block: pa.RecordBatch, users: Ints, ids: Ids) -> tuple[Columns, Ints]:
    """Return the columns that served lists and the site's have, and the movies of all lists."""
    texts = block["movies"].flatten()
    if texts.null_count:
        raise Corrupt("a list with a movie that has no id")
    movies, lengths = ids.movies.of(texts), pc.list_value_length(block["movies"]).fill_null(0).to_numpy()
    chances = mixed(np.arange(len(ids.movies.texts)))
    columns: Columns = {
        "users": users,
        "times": _times(block),
        "contents": mixed(users) * np.uint64(3) + _sums(chances[movies], lengths),
        "milliseconds": block["latency_ms"].fill_null(0).to_numpy().astype(np.float32),
        "failed": lengths == 0,
        "lengths": lengths.astype(np.int64),
        "places": block["partition"].to_numpy().astype(np.int64) << _PARTITION_BITS | block["offset"].to_numpy(),
        "ingested": _times(block, "ingested_at"),
    }
    return columns, movies


def _sums(values: NDArray[Any], lengths: NDArray[Any]) -> NDArray[Any]:
    """Return the sum of the values of each list, shape (n,)."""
    kind = np.uint64 if values.dtype == np.uint64 else np.int64
    sums = np.zeros(len(values) + 1, dtype=kind)
    np.cumsum(values, out=sums[1:])
    ends = np.cumsum(lengths)
    found: NDArray[Any] = sums[ends] - sums[ends - lengths]
    return found


def _firsts_in_lists(movies: Ints, lengths: Times) -> Bools:
    """Return which movies of lists do not stand earlier in the same one, shape (n_movies,)."""
    keys = np.repeat(np.arange(len(lengths)) << 32, lengths)
    keys |= movies
    ordered = np.sort(keys)
    is_first = np.ones(len(movies), dtype=np.bool_)
    if (ordered[1:] == ordered[:-1]).any():  # hardly ever
        is_first[:] = False
        is_first[np.unique(keys, return_index=True)[1]] = True
    return is_first


def _joined(parts: Sequence[Columns], names: Iterable[str]) -> tuple[Columns, Times]:
    """Return the columns of all parts, and which rows are records, by time: of one that is stored twice the first."""

    def whole(name: str) -> NDArray[Any]:
        return np.concatenate([np.empty(0, _TYPES[name]), *(part[name] for part in parts)])

    columns = {name: whole(name) for name in names if name in _TYPES}
    rows = firsts(whole("places"), whole("ingested"))
    return columns, rows[np.argsort(columns["times"][rows], kind="stable")]


def _told_once(columns: Columns, rows: Times) -> Times:
    """Return the rows without those that tell of an answer again: an event that was sent twice has two places.

    One user got the same movies at the same microsecond.
    """
    answers = columns["contents"][rows] ^ mixed(columns["times"][rows])
    once: Times = rows[np.sort(np.unique(answers, return_index=True)[1])]
    return once


def _chosen(block: pa.RecordBatch, wanted: Bools) -> pa.RecordBatch:
    """Return some rows of a block; texts are costly to copy."""
    return block if wanted.all() else block.filter(pa.array(wanted))


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

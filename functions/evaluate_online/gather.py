"""What was served and what users did after, in compact columns: each record once, ids as numbers."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shared.columns import Codes, blocks

LIST_COLUMNS: Final = (
    "user_id", "time", "movies", "arm", "model", "revision", "rung", "latency_ms", "partition", "offset",
)  # fmt: skip
WATCH_COLUMNS: Final = ("user_id", "time", "movie_id", "minute")
RATING_COLUMNS: Final = ("user_id", "time", "movie_id", "rating")
REQUEST_COLUMNS: Final = ("user_id", "time", "movies", "status", "latency_ms", "partition", "offset")

_PARTITION_BITS: Final = 48

Ints = NDArray[np.int32]
Times = NDArray[np.int64]


@dataclass
class Ids:
    """The users and movies so far, each with a number."""

    users: Codes = field(default_factory=Codes)
    movies: Codes = field(default_factory=Codes)


@dataclass(frozen=True)
class Lists:
    """Lists of movies that were served or asked for, each record once; arrays of shape (n,), times in microseconds.

    The movies of list `i` are `movies[ends[i - 1] : ends[i]]`. `labels` holds texts by column, as numbers into `texts`.
    """

    users: Ints
    times: Times
    movies: Ints
    ends: Times
    milliseconds: NDArray[np.float32]
    status: Ints
    labels: dict[str, Ints]
    texts: dict[str, list[str]]

    def __len__(self) -> int:
        return len(self.users)

    @property
    def lengths(self) -> Times:
        """How many movies each list has."""
        return np.diff(self.ends, prepend=0)

    def where(self, chosen: NDArray[np.bool_]) -> "Lists":
        """Return the lists chosen, shape (n,)."""
        lengths = self.lengths
        return Lists(
            self.users[chosen],
            self.times[chosen],
            self.movies[np.repeat(chosen, lengths)],
            np.cumsum(lengths[chosen]),
            self.milliseconds[chosen],
            self.status[chosen],
            {name: codes[chosen] for name, codes in self.labels.items()},
            self.texts,
        )

    def are(self, name: str, text: str) -> NDArray[np.bool_]:
        """Return which lists have a label, shape (n,)."""
        texts = self.texts[name]
        is_it: NDArray[np.bool_] = self.labels[name] == (texts.index(text) if text in texts else -1)
        return is_it


@dataclass(frozen=True)
class Acts:
    """What users did with movies; arrays of shape (n,): who, what, when, and the minute watched or the rating given."""

    users: Ints
    movies: Ints
    times: Times
    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.users)


def served(batches: Iterable[pa.RecordBatch], ids: Ids, since: int) -> Lists:
    """Return the served lists of batches with `LIST_COLUMNS`, from a moment on."""
    return _lists(batches, ids, since, ("arm", "model", "revision", "rung"))


def requests(batches: Iterable[pa.RecordBatch], ids: Ids, since: int) -> Lists:
    """Return the lists that the site got, of batches with `REQUEST_COLUMNS`, from a moment on by the site's clock."""
    return _lists(batches, ids, since, ())


def acts(batches: Iterable[pa.RecordBatch], ids: Ids, since: int, value: str) -> Acts:
    """Return what the users known so far did, from a moment on; `value` is the column that says how."""
    parts: list[tuple[Ints, Ints, Times, NDArray[Any]]] = []
    for block in blocks(batches):
        users, times = ids.users.known(block["user_id"]), _times(block)
        wanted = (users >= 0) & (times >= since)
        movies = ids.movies.of(block["movie_id"].filter(pa.array(wanted)))
        parts.append((users[wanted], movies, times[wanted], block[value].to_numpy(zero_copy_only=False)[wanted]))
    if not parts:
        return Acts(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0))
    return Acts(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _lists(batches: Iterable[pa.RecordBatch], ids: Ids, since: int, names: tuple[str, ...]) -> Lists:
    codes = {name: Codes() for name in names}
    seen = np.empty(0, np.int64)
    parts: list[Lists] = []
    for block in blocks(batches):
        place = block["partition"].to_numpy().astype(np.int64) << _PARTITION_BITS | block["offset"].to_numpy()
        first = np.zeros(len(place), dtype=np.bool_)
        first[np.unique(place, return_index=True)[1]] = True
        chosen = first & (_times(block) >= since) & ~np.isin(place, seen)
        seen = np.concatenate([seen, place[chosen]])
        block = block.filter(pa.array(chosen))
        movies = block["movies"].fill_null([])
        milliseconds = block["latency_ms"].fill_null(0).to_numpy().astype(np.float32)
        status = block["status"].fill_null(0).to_numpy() if "status" in block.schema.names else np.full(len(block), 200)
        parts.append(
            Lists(
                ids.users.of(block["user_id"]),
                _times(block),
                ids.movies.of(movies.flatten()),
                np.cumsum(pc.list_value_length(movies).to_numpy()),
                milliseconds,
                status.astype(np.int32),
                {name: codes[name].of(block[name].fill_null("")) for name in names},
                {},
            )
        )
    texts = {name: each.texts.to_pylist() for name, each in codes.items()}
    return _joined(parts, names, texts)


def _joined(parts: list[Lists], names: tuple[str, ...], texts: dict[str, list[str]]) -> Lists:
    ints, longs = np.empty(0, np.int32), np.empty(0, np.int64)
    return Lists(
        np.concatenate([ints, *(part.users for part in parts)]),
        np.concatenate([longs, *(part.times for part in parts)]),
        np.concatenate([ints, *(part.movies for part in parts)]),
        np.cumsum(np.concatenate([longs, *(part.lengths for part in parts)])),
        np.concatenate([np.empty(0, np.float32), *(part.milliseconds for part in parts)]),
        np.concatenate([ints, *(part.status for part in parts)]),
        {name: np.concatenate([ints, *(part.labels[name] for part in parts)]) for name in names},
        texts,
    )


def _times(block: pa.RecordBatch) -> Times:
    times: Times = block["time"].cast(pa.int64()).to_numpy(zero_copy_only=False)
    return times

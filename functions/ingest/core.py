"""What a delivered record becomes, and how records that arrive together share one stored object."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared import keys, lines
from shared.errors import BadEvent
from shared.events import MOVIELOG, RecommendationServed, decode
from shared.lines import Limits
from shared.records import to_parquet, to_table
from shared.rows import Place, Row

TOPICS: Final = (MOVIELOG, RecommendationServed.type)

_LARGEST: Final = 2**63 - 1


def place(topic: str, headers: Mapping[str, str], ingested_at: int) -> Place:
    """Return where a record stands, from the two attributes that a KafkaSource writes and no producer can forge.

    Whoever else may post here can: that a place is past Kafka's end, or taken by another record, is not found out here,
    and of two contents of one place the first stands, in silence. To tell them apart a fold would have to look every
    row up in the whole lake, of which it reads nothing. See docs/decisions/0017.

    Raises: BadEvent if the delivery does not come from a KafkaSource on one of `TOPICS`.
    """
    if topic not in TOPICS:
        raise BadEvent(f"unknown topic {topic[:80]!r}; deliveries are posted to /{MOVIELOG} or /{TOPICS[1]}")
    partition = _whole("ce-knativekafkapartition", headers, 2**31 - 1)
    offset = _whole("ce-knativekafkaoffset", headers, _LARGEST)
    return Place(topic, partition, offset, ingested_at)


def row(record: bytes, at: Place, limits: Limits) -> Row:
    """Return the row of a record; what cannot be understood becomes a row of kind `quarantine`."""
    return lines.parse(record, at, limits) if at.topic == MOVIELOG else _served(record, at)


def landing_object(rows: Sequence[Row]) -> tuple[str, bytes]:
    """Return the key and the parquet bytes of a group; the same rows give the same both."""
    data = to_parquet(to_table(rows))
    return keys.landing(rows[0].ingested_at, hashlib.sha256(data).hexdigest()), data


@dataclass(eq=False)
class _Group:
    rows: list[Row] = field(default_factory=list)
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None


class GroupCommit:
    """Group commit: whoever arrives while a group is being stored joins the next one.

    So a lone record waits for one store, and under load one store serves all that waited: the latency
    of a store sets the size of the groups, and no timer has to be tuned. (DeWitt et al., Implementation
    Techniques for Main Memory Database Systems, SIGMOD 1984.) For one event loop.
    """

    def __init__(self, store: Callable[[Sequence[Row]], Awaitable[None]], max_rows: int, writers: int) -> None:
        """Take the coroutine that makes rows durable, and how many of it may run at once."""
        self._store = store
        self._max_rows = max_rows
        self._idle_writers = writers
        self._waiting: list[_Group] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def add(self, row: Row) -> None:
        """Return when the row is durable; raise what storing its group raised."""
        if not self._waiting or len(self._waiting[-1].rows) >= self._max_rows:
            self._waiting.append(_Group())
        group = self._waiting[-1]
        group.rows.append(row)
        if self._idle_writers:
            self._idle_writers -= 1
            task = asyncio.get_running_loop().create_task(self._write())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await group.settled.wait()
        if group.error is not None:
            raise group.error

    async def _write(self) -> None:
        await asyncio.sleep(0)  # let all requests that are already here join
        try:
            while self._waiting:
                group = self._waiting.pop(0)
                try:
                    await self._store(group.rows)
                except Exception as error:
                    group.error = error
                group.settled.set()
        finally:
            self._idle_writers += 1


def _whole(name: str, headers: Mapping[str, str], largest: int) -> int:
    text = headers.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= largest):
        raise BadEvent(f"{name} is {text[:40]!r}, not a whole number: not a delivery of a KafkaSource")
    return int(text)


def _served(record: bytes, at: Place) -> Row:
    try:
        served = decode(RecommendationServed, record)
    except BadEvent:
        return lines.quarantine(record, at, "bad_served_event")
    return Row(
        "served",
        *at,
        time=served.time,
        user_id=served.user_id,
        movies=served.movies,
        latency_ms=served.latency_ms,
        request_id=served.request_id,
        arm=served.arm,
        model=served.model,
        revision=served.revision,
        rung=served.rung,
    )

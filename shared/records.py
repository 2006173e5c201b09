"""The rows of the lake: one type for every kind, and the columns they are stored in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Final, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

Kind = Literal["watch", "rating", "request", "account", "served", "quarantine"]


class Place(NamedTuple):
    """Where a record stands in Kafka, and when Marquee took it in (microseconds since 1970, UTC).

    Topic, partition and offset identify a record whatever its producer claims.
    """

    topic: str
    partition: int
    offset: int
    ingested_at: int


@dataclass(slots=True)
class Row:
    """One record of the stream; the fields that its kind does not have are None.

    Times are microseconds since 1970, UTC. `raw` holds the record's own bytes and is kept for
    quarantined records only.
    """

    kind: Kind
    topic: str
    partition: int
    offset: int
    ingested_at: int
    time: int | None = None
    user_id: str | None = None
    movie_id: str | None = None
    minute: int | None = None
    rating: float | None = None
    server: str | None = None
    status: int | None = None
    movies: Sequence[str] | None = None
    latency_ms: float | None = None
    error: str | None = None
    request_id: str | None = None
    arm: str | None = None
    model: str | None = None
    revision: str | None = None
    rung: str | None = None
    reason: str | None = None
    raw: bytes | None = None


_MICROSECONDS: Final = pa.timestamp("us", tz="UTC")

SCHEMA: Final = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("topic", pa.string(), nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("ingested_at", _MICROSECONDS, nullable=False),
        pa.field("time", _MICROSECONDS),
        pa.field("user_id", pa.string()),
        pa.field("movie_id", pa.string()),
        pa.field("minute", pa.int32()),
        pa.field("rating", pa.float64()),
        pa.field("server", pa.string()),
        pa.field("status", pa.int32()),
        pa.field("movies", pa.list_(pa.string())),
        pa.field("latency_ms", pa.float64()),
        pa.field("error", pa.string()),
        pa.field("request_id", pa.string()),
        pa.field("arm", pa.string()),
        pa.field("model", pa.string()),
        pa.field("revision", pa.string()),
        pa.field("rung", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("raw", pa.binary()),
    ]
)
"""The columns of a landed object, in the order of `Row`'s fields."""

LAKE_SCHEMA: Final = SCHEMA.append(pa.field("date", pa.date32(), nullable=False))
"""The columns of the lake: a row's, and the UTC date it was taken in, by which the table is partitioned."""

_NAMES: Final = tuple(field.name for field in fields(Row))


def to_table(rows: Iterable[Row]) -> pa.Table:
    """Return rows as columns of `SCHEMA`, in the order given."""
    rows = list(rows)
    columns = [pa.array([getattr(row, name) for row in rows], type=SCHEMA.field(name).type) for name in _NAMES]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def with_date(table: pa.Table) -> pa.Table:
    """Return landed rows with the column the lake is partitioned by."""
    date = pc.cast(pc.floor_temporal(table["ingested_at"], unit="day"), pa.date32())
    return table.append_column(LAKE_SCHEMA.field("date"), date)


def once_each(table: pa.Table) -> pa.Table:
    """Return one row for each (topic, partition, offset): the first that was taken in.

    Delivery is at least once, so a record may be stored twice; sorted by topic, partition, offset.
    """
    identity = ["topic", "partition", "offset"]
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in [*identity, "ingested_at"]])
    table = table.take(order)
    if len(table) < 2:
        return table
    changed = [pc.not_equal(table[name].slice(1), table[name].slice(0, len(table) - 1)) for name in identity]
    is_new = pc.or_(pc.or_(changed[0], changed[1]), changed[2])
    return table.filter(pa.chunked_array([pa.array([True]), *is_new.chunks]))

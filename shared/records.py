"""The columns that rows are stored in."""

import io
from collections.abc import Iterable
from dataclasses import fields
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.rows import Row

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


def to_parquet(table: pa.Table) -> bytes:
    """Return rows as a landed object; the same rows give the same bytes, and nothing but the rows is in them."""
    sink = io.BytesIO()
    pq.write_table(table, sink, use_dictionary=False, write_statistics=False, compression="zstd")
    return sink.getvalue()


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

"""Which landed objects are folded together, and what their rows are."""

import hashlib
import io
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from shared import keys
from shared.errors import Corrupt
from shared.records import SCHEMA, once_each


def batches(landed: Sequence[str], max_objects: int) -> Iterator[list[str]]:
    """Yield the objects in order, at most max_objects at a time."""
    for start in range(0, len(landed), max_objects):
        yield list(landed[start : start + max_objects])


def rows_of(key: str, data: bytes) -> pa.Table:
    """Return a landed object's rows. Raises: Corrupt if it is not one, or not the bytes that its name vouches for."""
    if not keys.is_landing(key, hashlib.sha256(data).hexdigest()):
        raise Corrupt("not the bytes that its name vouches for")
    try:
        table = pq.read_table(io.BytesIO(data))
        table.validate(full=True)  # text that is not UTF-8 would make the whole lake unreadable
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Corrupt(f"not parquet: {error}") from error
    if not table.schema.equals(SCHEMA):
        raise Corrupt("columns that are not a landed object's")
    return table


def combine(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the rows of several landed objects, each record once."""
    return once_each(pa.concat_tables(tables, promote_options="none") if tables else SCHEMA.empty_table())

"""Which landed objects are folded together, what their rows are, and which rows have had their time."""

import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shared import keys
from shared.errors import Corrupt
from shared.ports import DataFile, Partition
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


def expired(
    now: Iterable[DataFile], used: Iterable[DataFile], retain_days: Mapping[str, int], today: date
) -> dict[Partition, int]:
    """Return the partitions that may go, with their rows: each row is older than its kind is kept, and was used.

    Args: now: the lake's files; used: those at the version that was used last: a partition with any other file, be it
    only a compacted one, stays for this time; retain_days: by kind, 0 for ever.
    """
    known = {file.path for file in used}
    found: Counter[Partition] = Counter()
    stay = set()
    for path, partition, n_rows in now:
        days = retain_days.get(partition.kind, 0)
        found[partition] += n_rows
        if not days or partition.date >= today - timedelta(days=days) or path not in known:
            stay.add(partition)
    return {partition: n_rows for partition, n_rows in found.items() if partition not in stay}


def still_stored(then: Iterable[DataFile], now: Iterable[DataFile], kind: str) -> int:
    """Return how many of a kind's rows of an earlier version are stored now: rows only come, or go a day at a time."""
    before, after = (_rows_by_partition(files) for files in (then, now))
    return sum(min(n_rows, after[partition]) for partition, n_rows in before.items() if partition.kind == kind)


def _rows_by_partition(files: Iterable[DataFile]) -> Counter[Partition]:
    total: Counter[Partition] = Counter()
    for file in files:
        total[file.partition] += file.n_rows
    return total


def model_versions(state: Any) -> set[str]:
    """Return every model that a service's channel names, the one that answers and those that may take over or back."""
    if not isinstance(state, Mapping):
        return set()
    named = state.get("model_version")
    found = {named} if isinstance(named, str) and named else set()
    return found.union(*map(model_versions, state.values()))

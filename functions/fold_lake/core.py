"""Which landed objects are folded together, what their rows are, and which rows have had their time."""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import PurePosixPath
from typing import Any, Final, get_args

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared import forgotten, keys
from shared.errors import Corrupt
from shared.forgotten import Forgotten
from shared.ports import DataFile, Partition
from shared.records import SCHEMA, once_each
from shared.rows import Kind

_END: Final = 253_402_300_800_000_000  # the end of the year 9999, in microseconds: the lake has no name for later days


def batches(landed: Sequence[str], max_objects: int) -> Iterator[list[str]]:
    """Yield the objects in order, at most max_objects at a time."""
    for start in range(0, len(landed), max_objects):
        yield list(landed[start : start + max_objects])


def rows_of(key: str, data: bytes) -> pa.Table:
    """Return a landed object's rows.

    Raises: Corrupt if it is not one, not the bytes that its name vouches for, or holds a row that `ingest` never
    writes: committed, one row of a kind or a time that nobody can read would take the lake from everybody.
    """
    if not keys.is_landing(key, hashlib.sha256(data).hexdigest()):
        raise Corrupt("not the bytes that its name vouches for")
    try:
        table = pq.read_table(io.BytesIO(data))
        table.validate(full=True)  # text that is not UTF-8 would make the whole lake unreadable
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Corrupt(f"not parquet: {error}") from error
    if not table.schema.equals(SCHEMA):
        raise Corrupt("columns that are not a landed object's")
    for what, rows in _impossible(table):
        if pc.any(rows).as_py():
            raise Corrupt(f"a row whose {what} no record of the stream has")
    return table


def _impossible(table: pa.Table) -> Iterator[tuple[str, pa.ChunkedArray]]:
    """Yield what may be wrong with rows, and of which rows it is."""
    for field in SCHEMA:
        if not field.nullable:
            yield field.name, pc.is_null(table[field.name])
    taken_in, is_rating = table["ingested_at"].cast(pa.int64()), pc.equal(table["kind"], "rating")
    yield "kind", pc.invert(pc.is_in(table["kind"], pa.array(get_args(Kind))))
    yield "partition", pc.less(table["partition"], 0)
    yield "offset", pc.less(table["offset"], 0)
    yield "ingested_at", pc.or_(pc.less(taken_in, 0), pc.greater_equal(taken_in, _END))
    yield "rating", pc.and_(is_rating, pc.invert(pc.fill_null(pc.is_finite(table["rating"]), False)))
    for name in ("user_id", "movie_id", "time"):
        yield name, pc.and_(pc.or_(is_rating, pc.equal(table["kind"], "watch")), pc.is_null(table[name]))


def combine(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the rows of several landed objects, each record once."""
    return once_each(pa.concat_tables(tables, promote_options="none") if tables else SCHEMA.empty_table())


def without(rows: pa.Table, left_out: Forgotten) -> pa.Table:
    """Return rows of the lake's columns without those of who is on the list, as far as can be told."""
    if not left_out.digests:
        return rows
    owners = [*map(forgotten.owner, rows["user_id"].to_pylist(), rows["raw"].to_pylist())]
    theirs = left_out.among(owners)
    return rows.filter(pa.array([each not in theirs for each in owners], pa.bool_()))


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


def report_number(name: str) -> int:
    """Return the lake version of an online report by its name; what is none comes before all."""
    stem = PurePosixPath(name).stem
    return int(stem) if stem.isdecimal() else -1


def evaluated_at(report: bytes) -> int:
    """Return when an online report was made, in microseconds since 1970; 0 if nobody can read it any more."""
    try:
        return int(json.loads(report)["evaluated_at"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return 0


def model_versions(state: Any) -> set[str]:
    """Return every model that a service's channel names, the one that answers and those that may take over or back."""
    if not isinstance(state, Mapping):
        return set()
    named = state.get("model_version")
    found = {named} if isinstance(named, str) and named else set()
    return found.union(*map(model_versions, state.values()))

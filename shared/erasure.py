"""Take one user out of stored bytes, and search stored bytes for one.

A data file of the lake is made anew without the user's rows *in its own size*: Parquet finds its parts by offsets from
the beginning and from the end, so what is saved becomes a gap before the footer. The Delta log names files with
their sizes, and so every version of the lake stays readable as it was, but for the user.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared import lines, npz
from shared.errors import Corrupt
from shared.history import HISTORY, History
from shared.matrix import Split
from shared.model import FactorModel
from shared.records import SCHEMA

Record = tuple[str, int, int]
"""The topic, partition and offset of a record."""

_RECORD: Final = ("topic", "partition", "offset")
_LEVELS: Final = (3, 9, 19)  # of zstd: the next one only if a file would outgrow itself
_USERS: Final = {"user", "users", "user_id", "user_ids"}
_TAIL: Final = 8  # the footer's length in 4 bytes, and PAR1


def rows_without(table: pa.Table, user_id: str) -> pa.Table:
    """Return rows of the lake's columns without those of a user, quarantined ones too if their bytes say it."""
    return table.filter(pc.invert(_theirs(table, user_id)))


def landed_without(data: bytes, user_id: str) -> pa.Table:
    """Return the rows of a landed object without a user's. Raises: Corrupt."""
    with _parquet(data) as file:
        rows = file.read()
    if not rows.schema.equals(SCHEMA):
        raise Corrupt("columns that are not a landed object's")
    return rows_without(rows, user_id)


def file_without(data: bytes, user_id: str) -> bytes:
    """Return a data file of the lake without a user's rows, as many bytes as before.

    Raises: Corrupt if it is not parquet, or what is left does not fit.
    """
    for level in _LEVELS:
        sink = io.BytesIO()
        with _parquet(data) as file, _writer(sink, file.schema_arrow, level) as writer:
            for group in range(file.num_row_groups):
                writer.write_table(rows_without(file.read_row_group(group), user_id))
        made = sink.getvalue()
        if len(made) <= len(data):
            tail = _TAIL + int.from_bytes(made[-_TAIL:-4], "little")
            return made[:-tail] + bytes(len(data) - len(made)) + made[-tail:]
    raise Corrupt(f"a file without some of its rows needs more than its {len(data)} bytes")


def records(data: bytes, user_id: str) -> set[Record]:
    """Return which records of Kafka a user's rows in a data file of the lake were. Raises: Corrupt."""
    found: set[Record] = set()
    with _parquet(data) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, ["user_id", "raw", *_RECORD])
            theirs = table.filter(_theirs(table, user_id))
            found.update(zip(*(theirs[name].to_pylist() for name in _RECORD), strict=True))
    return found


def matrix_without(matrix_id: str, files: Mapping[str, bytes], user_id: str) -> dict[str, bytes]:
    """Return the files of a matrix that change when a user is taken out. Raises: Corrupt."""
    made = Split.from_files(matrix_id, files).without(user_id).to_files()
    if HISTORY in files:
        made[HISTORY] = History.from_bytes(files[HISTORY]).without(user_id).to_bytes()
    return _changed(files, made)


def model_without(files: Mapping[str, bytes], user_id: str) -> dict[str, bytes]:
    """Return the files of a model that change when a user is taken out. Raises: Corrupt."""
    return _changed(files, FactorModel.from_files(files).without(user_id).to_files())


def commit_without(data: bytes, user_id: str) -> bytes:
    """Return a commit of the lake's log without the statistics that name a user; only older lakes have such."""
    return b"\n".join(_without_statistics(line) if _in_text(line, user_id) else line for line in data.splitlines())


def mentions(data: bytes, user_id: str) -> int:
    """Return how often a user is in an object: rows, places in a vocabulary, values that a name says are users.

    A number alone says nothing: movies have numbers too, and counts are numbers. Raises: Corrupt if the object cannot
    be searched.
    """
    if data.startswith(b"PAR1"):
        return _in_parquet(data, user_id)
    if data.startswith(b"PK"):
        return _in_npz(data, user_id)
    return _in_text(data, user_id)


def _changed(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in after.items() if data != before.get(name)}


def _theirs(table: pa.Table, user_id: str) -> pa.ChunkedArray:
    theirs = pc.fill_null(pc.equal(table["user_id"], user_id), False)
    if table["raw"].null_count == len(table):
        return theirs
    said = [raw is not None and lines.owner(raw) == user_id for raw in table["raw"].to_pylist()]
    return pc.or_(theirs, pa.chunked_array([said], pa.bool_()))


def _writer(sink: io.BytesIO, schema: pa.Schema, level: int) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        sink, schema, compression="zstd", compression_level=level, write_statistics=False, store_schema=False
    )


@contextmanager
def _parquet(data: bytes) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(io.BytesIO(data)) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise Corrupt(f"not parquet: {error}") from error


def _in_parquet(data: bytes, user_id: str) -> int:
    with _parquet(data) as file:
        names = set(file.schema_arrow.names)
        columns = ["user_id", "raw"] if names >= {"user_id", "raw"} else None
        found = 0
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns)
            if columns:
                found += pc.sum(_theirs(table, user_id)).as_py() or 0
            elif names == {"kind", "id"}:
                found += table.to_pylist().count({"kind": "user", "id": user_id})
            else:
                found += _in_value(table.to_pylist(), user_id)
        return found


def _in_npz(data: bytes, user_id: str) -> int:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            if not {"users", "user_ends"} <= set(arrays.files):
                return 0
            return npz.unpack_texts(arrays["users"], arrays["user_ends"]).count(user_id)
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, KeyError, EOFError, NotImplementedError) as error:
        raise Corrupt(f"not an npz: {error}") from error


def _in_text(data: bytes, user_id: str) -> int:
    if user_id.encode() not in data:
        return 0
    try:
        return sum(_in_value(value, user_id) for value in _values(data))
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"neither parquet nor npz nor JSON: {error}") from error


def _values(data: bytes) -> Iterator[Any]:
    """Yield the JSON value that data is, or those of its lines."""
    try:
        yield json.loads(data)
    except ValueError:
        yield from map(json.loads, data.splitlines())


def _in_value(value: Any, user_id: str, name: str = "") -> int:
    """Return how often a user is in a JSON value of this name; text that is JSON, as in the lake's log, is read too."""
    if isinstance(value, Mapping):
        named = list(value).count(user_id) if name in _USERS else 0
        return named + sum(_in_value(each, user_id, str(inner)) for inner, each in value.items())
    if isinstance(value, list | tuple):
        return sum(_in_value(each, user_id, name) for each in value)
    if isinstance(value, str) and value.startswith("{"):
        try:
            return _in_value(json.loads(value), user_id)
        except ValueError:
            return 0
    return int((name in _USERS and value == user_id) or (name == "user_id" and str(value) == user_id))


def _without_statistics(line: bytes) -> bytes:
    action = json.loads(line)
    if "add" in action:
        statistics = json.loads(action["add"]["stats"])
        action["add"]["stats"] = json.dumps({"numRecords": statistics["numRecords"]})
    return json.dumps(action).encode()

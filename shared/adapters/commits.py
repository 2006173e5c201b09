"""What was committed to the lake, by delta-rs alone: `score` follows it, and its image holds no other Arrow."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from typing import Any, Final, Self

from arro3.core import DataType, RecordBatchReader
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from shared import keys
from shared.errors import Conflict, NotReady
from shared.ports import NO_VERSION, Rows
from shared.rows import Kind

DROP: Final = "drop"
"""The transaction of a commit that drops rows; its number is the version that they were found in."""

_CHANGE: Final = "_change_type"
_STORED: Final = ("kind", "date", "topic", "partition", "offset", "ingested_at")
"""What no two stored rows share, but for copies of one."""

_DRAWN: Final = re.compile(r"\x1b\[[0-9;]*m|↳")
"""How delta-rs draws its causes as a tree, with colours."""

_MOMENT: Final = DataType.timestamp("us", tz="UTC")


@dataclass
class DeltaCommits:
    """The commits of the table at `uri` as `Commits`, for one thread at a time. Before the first there is no table.

    More than `most_steps` of them are not read one by one, but as the difference of what stood before and after them.
    """

    uri: str
    options: Mapping[str, str] = field(repr=False)  # it holds keys
    most_steps: int = 50
    _table: DeltaTable | None = field(init=False, default=None, repr=False)

    @classmethod
    def in_bucket(cls, bucket: str, options: Mapping[str, str]) -> Self:
        """Return those of the lake of a bucket."""
        return cls(f"s3://{bucket}/{keys.LAKE}", options)

    def since(self, version: int, kinds: Collection[Kind], columns: Sequence[str]) -> tuple[int, Iterator[Rows]]:
        """Return the newest version, and the rows committed after `version`, also those that were dropped since.

        A compaction adds none. The files must still be there: a vacuum leaves those of recent versions.
        """
        table = self._newest()
        if table is None:
            return NO_VERSION, iter(())
        newest, version = table.version(), max(version, 0)  # version 0 is the table, made empty
        if version >= newest:
            return newest, iter(())
        changes = _added(table, version, newest, kinds, columns) if newest - version <= self.most_steps else None
        found = self._at_once(version, table, kinds, columns) if changes is None else [changes]
        return newest, _rows(found, columns)

    def _at_once(
        self, version: int, after: DeltaTable, kinds: Collection[Kind], columns: Sequence[str]
    ) -> Iterator[RecordBatchReader]:
        """Yield what stands in the table and did not at `version`, and what was dropped between, from drop to drop."""
        while after.version() > version:
            found_in = after.transaction_version(DROP)
            before = DeltaTable(
                self.uri,
                version=version if found_in is None else max(version, found_in),
                storage_options=dict(self.options),
            )
            yield from _between(before, after, kinds, columns)
            after = before

    def _newest(self) -> DeltaTable | None:
        """Return the table as it stands now, None before there is one.

        It is kept, so that only commits since the last look are read.
        """
        with translated():
            table, self._table = self._table, None  # one that fails is not kept
            if table is None:
                table = self._open()
            else:
                table.update_incremental()
            self._table = table
            return table

    def _open(self, version: int | None = None) -> DeltaTable | None:
        with translated():
            try:
                return DeltaTable(self.uri, version=version, storage_options=dict(self.options))
            except TableNotFoundError:
                return None


def _added(
    table: DeltaTable, version: int, newest: int, kinds: Collection[Kind], columns: Sequence[str]
) -> RecordBatchReader | None:
    """Return the rows of some kinds that the commits after `version` added, None if they cannot be read one by one.

    delta-rs reads no changes from a commit on that changed the table's metadata, as a fence does.
    """
    names = [f'"{name}"' for name in dict.fromkeys((*columns, "kind", _CHANGE))]
    wanted = f"{_CHANGE} = 'insert' AND kind IN ({_quoted(kinds)})"
    with translated(), suppress(DeltaError):
        return table.load_cdf(version + 1, newest, columns=names, predicate=wanted)
    return None


def _between(
    before: DeltaTable, after: DeltaTable, kinds: Collection[Kind], columns: Sequence[str]
) -> Iterator[RecordBatchReader]:
    """Yield the rows of some kinds that stand after and not before, from the days whose files are not the same.

    A compaction puts rows of both times into one file, so rows are told apart by what they are. A copy of a row of
    before, taken in at the same moment, is left out.
    """
    days = {f"{day}" for _, kind, day in _files(before) ^ _files(after) if kind in kinds}
    if days:
        where = f"kind IN ({_quoted(kinds)}) AND date IN ({_quoted(days)})"
        names, same = (", ".join(f'"{name}"' for name in each) for each in (columns, _STORED))
        sides = (f"(SELECT * FROM {side} WHERE {where}) AS {side}" for side in ("before", "after"))
        tables = QueryBuilder().register("before", before).register("after", after)
        yield tables.execute(f"SELECT {names} FROM {' RIGHT ANTI JOIN '.join(sides)} USING ({same})")


def _quoted(texts: Iterable[str]) -> str:
    return ", ".join(f"'{text}'" for text in sorted(texts))


def _files(table: DeltaTable) -> set[tuple[str, str, date]]:
    """Return the name, the kind and the day of each file."""
    found = table.get_add_actions(flatten=True)
    columns = (found[name].to_pylist() for name in ("path", "partition.kind", "partition.date"))
    return set(zip(*columns, strict=True))


def _rows(found: Iterable[RecordBatchReader], columns: Sequence[str]) -> Iterator[Rows]:
    with translated():
        try:
            for batch in chain.from_iterable(found):
                yield {name: _values(batch[name]) for name in columns}
        except Exception as error:
            if type(error) is not Exception:
                raise
            raise NotReady(f"the lake: {said(error)}") from error  # how an error of delta-rs comes through a stream


def _values(column: Any) -> Any:
    """Return a column as Python's own values; a moment as microseconds since 1970."""
    return (column.cast(DataType.int64()) if column.type == _MOMENT else column).to_pylist()


@contextmanager
def translated() -> Iterator[None]:
    """Raise what went wrong in delta-rs as Conflict or NotReady."""
    try:
        yield
    except CommitFailedError as error:
        raise Conflict(f"the lake: {said(error)}") from error
    except (DeltaError, OSError) as error:
        raise NotReady(f"the lake: {said(error)}") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of Rust; its class cannot be imported, and is no Exception
            raise
        raise NotReady(f"the lake: delta-rs panicked: {said(error)}") from error


def said(error: BaseException) -> str:
    """Return what an error of delta-rs says, in one line."""
    return " ".join(_DRAWN.sub("", str(error)).split())

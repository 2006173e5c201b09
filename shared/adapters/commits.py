"""What was committed to the lake, by delta-rs alone: `score` follows it, and its image holds no other Arrow."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Self

from arro3.core import DataType
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from shared import keys
from shared.errors import Conflict, NotReady
from shared.ports import NO_VERSION, Rows

_CHANGE: Final = "_change_type"
_MOMENT: Final = DataType.timestamp("us", tz="UTC")


@dataclass
class DeltaCommits:
    """The commits of the table at `uri` as `Commits`, for one thread at a time. Before the first there is no table."""

    uri: str
    options: Mapping[str, str] = field(repr=False)  # it holds keys
    _table: DeltaTable | None = field(init=False, default=None, repr=False)

    @classmethod
    def in_bucket(cls, bucket: str, options: Mapping[str, str]) -> Self:
        """Return those of the lake of a bucket."""
        return cls(f"s3://{bucket}/{keys.LAKE}", options)

    def since(self, version: int, columns: Sequence[str]) -> tuple[int, Iterator[Rows]]:
        """Return the newest version, and the rows committed after `version`, from the files those commits added.

        A compaction adds none. The files must still be there: a vacuum leaves those of recent versions.
        """
        table = self._newest()
        if table is None:
            return NO_VERSION, iter(())
        newest, first = table.version(), max(version, 0) + 1  # version 0 is the table, made empty
        return newest, _added(table, first, newest, columns) if newest >= first else iter(())

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


def _added(table: DeltaTable, first: int, last: int, columns: Sequence[str]) -> Iterator[Rows]:
    with translated():
        changes = table.load_cdf(
            first, last, columns=[f'"{name}"' for name in (*columns, _CHANGE)], predicate=f"{_CHANGE} = 'insert'"
        )
        try:
            for batch in changes:
                yield {name: _values(batch.column(name)) for name in columns}
        except Exception as error:
            if type(error) is not Exception:
                raise
            raise NotReady(f"the lake: {error}") from error  # how an error of delta-rs comes through a stream


def _values(column: Any) -> Any:
    """Return a column as Python's own values; a moment as microseconds since 1970."""
    return (column.cast(DataType.int64()) if column.type == _MOMENT else column).to_pylist()


@contextmanager
def translated() -> Iterator[None]:
    """Raise what went wrong in delta-rs as Conflict or NotReady."""
    try:
        yield
    except CommitFailedError as error:
        raise Conflict(f"the lake: {error}") from error
    except (DeltaError, OSError) as error:
        raise NotReady(f"the lake: {error}") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of Rust; its class cannot be imported, and is no Exception
            raise
        raise NotReady(f"the lake: delta-rs panicked: {error}") from error

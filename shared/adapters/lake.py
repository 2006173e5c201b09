"""The lake as one Delta Lake table, by delta-rs: atomic commits, versions, time travel."""

import json
import math
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from typing import Any, Final

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from shared.adapters.commits import DROP, DeltaCommits, said, translated
from shared.errors import Conflict, NotReady
from shared.ports import NO_VERSION, DataFile, Fold, Partition, Vacuumed
from shared.records import LAKE_SCHEMA, once_each, with_date

_FOLD: Final = "fold_lake"
_RECENT: Final = 3
_HOUR_MS: Final = 3_600_000
# Statistics stand in the log, which is kept: no column may have them that says who somebody is.
_STATISTICS: Final = {"delta.dataSkippingStatsColumns": "ingested_at"}
_IDENTITY: Final = ("topic", "partition", "offset", "ingested_at")


class DeltaLake(DeltaCommits):
    """The table at `uri` as a `Lake`, for one thread at a time. Until the first commit there is no table."""

    def version(self) -> int:
        """Return the newest version."""
        table = self._newest()
        return NO_VERSION if table is None else table.version()

    def last_fold(self) -> Fold:
        """Return the last committed fold, from the table's own history."""
        with translated():
            table = self._newest()
            number = None if table is None else table.transaction_version(_FOLD)
            if table is None or number is None:
                return Fold(0, [])
            for limit in (_RECENT, 10 * _RECENT, None):
                for commit in table.history(limit):
                    if commit.get("fold") == str(number):
                        return Fold(number, json.loads(commit["folded"]))
        raise NotReady(f"fold {number} is not in the lake's history; was its log cleaned while a fold was running?")

    def fold(self, rows: pa.Table, fold: Fold) -> int:
        """Commit landed rows as this fold; of two with the same number one wins."""
        facts = {"fold": str(fold.number), "folded": json.dumps(fold.keys)}
        return self._append(rows, Transaction(_FOLD, fold.number), facts)

    def backfill(self, rows: pa.Table, topic: str, partition: int, last_offset: int) -> int:
        """Commit rows read straight from a partition, up to and with last_offset."""
        return self._append(rows, Transaction(_backfill(topic, partition), last_offset), {})

    def backfilled(self, topic: str, partition: int) -> int | None:
        """Return the last offset of a partition that a backfill committed."""
        with translated():
            table = self._newest()
            return None if table is None else table.transaction_version(_backfill(topic, partition))

    def read(self, kind: str, columns: Sequence[str], version: int | None = None) -> pa.Table:
        """Return each row of a kind once, with the columns asked for and those that identify it."""
        wanted = list(dict.fromkeys([*columns, *_IDENTITY]))
        with self._stored(kind, wanted, version) as stored:
            found = stored.read_all()
        return once_each(found)

    def scan(
        self, kind: str, columns: Sequence[str], version: int | None = None, since: date | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the stored rows of a kind; files are read as batches are asked for, a few thousand rows each."""
        with self._stored(kind, columns, version, f" AND date >= '{since}'" if since else "") as stored:
            yield from stored

    def find(
        self,
        kind: str,
        columns: Sequence[str],
        equal: Mapping[str, str],
        since: int | None = None,
        until: int | None = None,
    ) -> list[dict[str, Any]]:
        """Return the rows of a kind that have these texts, each once; days and files of other times are not read."""
        wanted = list(dict.fromkeys([*columns, *_IDENTITY]))
        texts = [f"{name} = {_quoted(value)}" for name, value in equal.items()]
        bounds = [*_bounds(">=", since), *_bounds("<=", until)]
        with self._stored(kind, wanted, None, " AND ".join(["", *texts, *bounds])) as stored:
            found = once_each(stored.read_all())
        moments = [field.name for field in found.schema if pa.types.is_timestamp(field.type)]
        for name in moments:
            found = found.set_column(found.schema.get_field_index(name), name, found[name].cast(pa.int64()))
        rows: list[dict[str, Any]] = found.select(list(columns)).to_pylist()
        return rows

    def counts(self) -> dict[str, int]:
        """Return how many rows of each kind are stored, from the table's statistics."""
        total: Counter[str] = Counter()
        for file in self.files():
            total[file.partition.kind] += file.n_rows
        return dict(total)

    def files(self, version: int | None = None) -> list[DataFile]:
        """Return the table's files, from its log."""
        with translated():
            table = self._newest() if version is None else self._open(version)
            if table is None:
                return []
            found = pa.table(table.get_add_actions(flatten=True))
        if len(found) == 0:
            return []
        names = ("path", "partition.kind", "partition.date", "num_records")
        columns = (found[name].to_pylist() for name in names)
        return [DataFile(path, Partition(kind, day), n) for path, kind, day, n in zip(*columns, strict=True)]

    def compact(self) -> None:
        """Join small files and write a checkpoint."""
        with translated():
            table = self._newest()
            if table is None:
                return
            table.optimize.compact()
            table.create_checkpoint()

    def drop(self, partitions: Collection[Partition]) -> None:
        """Delete whole partitions: a commit that names their files as removed, and reads and writes none."""
        chosen = " OR ".join(f"(kind = '{each.kind}' AND date = '{each.date}')" for each in sorted(partitions))
        with translated():
            table = self._newest()
            if table is not None:
                told = CommitProperties(app_transactions=[Transaction(DROP, table.version())])
                table.delete(chosen, commit_properties=told)

    def vacuum(self, live: Collection[int]) -> Vacuumed:
        """Delete the files that were removed from the table, or left behind by a commit that failed, before `live`.

        A version from the oldest of `live` on consists of that one's files, which are named to be kept, and of later
        ones, which are younger than its commit.
        """
        with translated():
            table, oldest = self._newest(), self._open(min(live))
            if table is None or oldest is None:
                return Vacuumed(0, 0)
            age_ms = time.time() * 1000 - oldest.history(1)[0]["timestamp"]
            files = table.vacuum(
                math.ceil(age_ms / _HOUR_MS) + 1,  # clocks may differ
                dry_run=False,
                enforce_retention_duration=False,
                full=True,
                keep_versions=sorted(set(live)),
            )
            sizes = (each.get("operationMetrics", {}).get("sizeOfDataToDelete", 0) for each in table.history(2))
            return Vacuumed(len(files), sum(sizes) if files else 0)

    def fence(self) -> None:
        """Change the table's metadata, which every commit prepared on the old one conflicts with."""
        with translated():
            table = self._newest()
            if table is not None:
                table.alter.set_table_properties(_STATISTICS)

    @contextmanager
    def _stored(
        self, kind: str, columns: Sequence[str], version: int | None, chosen: str = ""
    ) -> Iterator[pa.RecordBatchReader]:
        """Open the stored rows of a kind, the `chosen` ones, with the lake's own types, for the length of a block.

        delta-rs reads no further ahead than its reader asks; pyarrow's datasets fill a queue of 1 GiB.
        """
        with translated():
            table = self._newest() if version is None else self._open(version)
            schema = pa.schema([LAKE_SCHEMA.field(name) for name in columns])
            if table is None and version is not None:
                raise NotReady(f"the lake has no version {version}")
            if table is None:
                yield schema.empty_table().to_reader()
                return
            rows = table.scan(columns=list(columns), predicate=f"kind = '{kind}'{chosen}")
            try:
                yield pa.RecordBatchReader.from_stream(rows).cast(schema)
            except pa.ArrowInvalid as error:  # how an error of delta-rs comes through a stream
                raise NotReady(f"the lake: {said(error)}") from error

    def _append(self, rows: pa.Table, transaction: Transaction, facts: Mapping[str, Any]) -> int:
        with translated():
            table = self._newest()
            if table is None:
                table = self._created()
            standing = table.transaction_version(transaction.app_id)
            if standing is not None and standing >= transaction.version:
                raise Conflict(f"{transaction.app_id} {transaction.version} is committed already")
            write_deltalake(
                table,
                with_date(rows),
                mode="append",
                commit_properties=CommitProperties(
                    custom_metadata=dict(facts), app_transactions=[transaction], max_commit_retries=30
                ),
            )
            return table.version()

    def _created(self) -> DeltaTable:
        """Make the table, unless another writer just did, and return it."""
        with suppress(CommitFailedError):  # another was first; to try again would make its table anew in version 1
            return DeltaTable.create(
                self.uri,
                LAKE_SCHEMA,
                mode="ignore",
                partition_by=["kind", "date"],
                # The log is the provenance of every matrix, and names the objects of the last fold: it is kept.
                configuration={
                    "delta.checkpointInterval": "20",
                    "delta.enableExpiredLogCleanup": "false",
                    **_STATISTICS,
                },
                storage_options=dict(self.options),
                commit_properties=CommitProperties(max_commit_retries=0),
            )
        return DeltaTable(self.uri, storage_options=dict(self.options))


def _quoted(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def _bounds(how: str, moment: int | None) -> list[str]:
    """Return what bounds the rows by when they were taken in, and by their day, which is a folder."""
    if moment is None:
        return []
    at = datetime.fromtimestamp(moment / 1e6, UTC)
    return [f"date {how} '{at.date()}'", f"ingested_at {how} to_timestamp_micros({moment})"]


def _backfill(topic: str, partition: int) -> str:
    return f"backfill:{topic}-{partition}"

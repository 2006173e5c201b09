"""The lake as one Delta Lake table, by delta-rs: atomic commits, versions, time travel."""

import json
import math
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from shared import keys
from shared.errors import Conflict, NotReady
from shared.ports import NO_VERSION, DataFile, Fold, Partition, Vacuumed
from shared.records import LAKE_SCHEMA, once_each, with_date

_FOLD: Final = "fold_lake"
_RECENT: Final = 3
_CHANGE: Final = "_change_type"
_HOUR_MS: Final = 3_600_000
# Statistics stand in the log, which is kept: no column may have them that says who somebody is.
_STATISTICS: Final = {"delta.dataSkippingStatsColumns": "ingested_at"}
_IDENTITY: Final = ("topic", "partition", "offset", "ingested_at")


def s3_options(endpoint: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what delta-rs needs to commit safely to an S3 store without a lock service.

    The keys are those of the environment; without them delta-rs looks where AWS's own clients do.
    """
    given = {name: environment[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if name in environment}
    return given | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_CONDITIONAL_PUT": "etag",
        "timeout": "20s",
        "connect_timeout": "2s",
    }


@dataclass
class DeltaLake:
    """The table at `uri` as a `Lake`, for one thread at a time. Until the first commit there is no table."""

    uri: str
    options: Mapping[str, str] = field(repr=False)  # it holds keys
    _table: DeltaTable | None = field(init=False, default=None, repr=False)

    @classmethod
    def in_bucket(cls, bucket: str, options: Mapping[str, str]) -> "DeltaLake":
        """Return the lake of a bucket."""
        return cls(f"s3://{bucket}/{keys.LAKE}", options)

    def version(self) -> int:
        """Return the newest version."""
        table = self._newest()
        return NO_VERSION if table is None else table.version()

    def last_fold(self) -> Fold:
        """Return the last committed fold, from the table's own history."""
        with _translated():
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
        with _translated():
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
        with self._stored(kind, columns, version, since) as stored:
            yield from stored

    def since(self, version: int, columns: Sequence[str]) -> tuple[int, Iterator[pa.RecordBatch]]:
        """Return the newest version, and the rows committed after `version`, from the files those commits added.

        A compaction adds none. The files must still be there: a vacuum leaves those of recent versions.
        """
        table = self._newest()
        if table is None:
            return NO_VERSION, iter(())
        newest, first = table.version(), max(version, 0) + 1  # version 0 is the table, made empty
        return newest, _added(table, first, newest, columns) if newest >= first else iter(())

    def counts(self) -> dict[str, int]:
        """Return how many rows of each kind are stored, from the table's statistics."""
        total: Counter[str] = Counter()
        for file in self.files():
            total[file.partition.kind] += file.n_rows
        return dict(total)

    def files(self, version: int | None = None) -> list[DataFile]:
        """Return the table's files, from its log."""
        with _translated():
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
        with _translated():
            table = self._newest()
            if table is None:
                return
            table.optimize.compact()
            table.create_checkpoint()

    def drop(self, partitions: Collection[Partition]) -> None:
        """Delete whole partitions: a commit that names their files as removed, and reads and writes none."""
        chosen = " OR ".join(f"(kind = '{each.kind}' AND date = '{each.date}')" for each in sorted(partitions))
        with _translated():
            table = self._newest()
            if table is not None:
                table.delete(chosen)

    def vacuum(self, live: Collection[int]) -> Vacuumed:
        """Delete the files that were removed from the table, or left behind by a commit that failed, before `live`.

        A version from the oldest of `live` on consists of that one's files, which are named to be kept, and of later
        ones, which are younger than its commit.
        """
        with _translated():
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
        with _translated():
            table = self._newest()
            if table is not None:
                table.alter.set_table_properties(_STATISTICS)

    @contextmanager
    def _stored(
        self, kind: str, columns: Sequence[str], version: int | None, since: date | None = None
    ) -> Iterator[pa.RecordBatchReader]:
        """Open the stored rows of a kind, with the lake's own types, for the length of a block.

        delta-rs reads no further ahead than its reader asks; pyarrow's datasets fill a queue of 1 GiB.
        """
        with _translated():
            table = self._newest() if version is None else self._open(version)
            schema = pa.schema([LAKE_SCHEMA.field(name) for name in columns])
            if table is None and version is not None:
                raise NotReady(f"the lake has no version {version}")
            if table is None:
                yield schema.empty_table().to_reader()
                return
            days = f" AND date >= '{since}'" if since else ""
            rows = table.scan(columns=list(columns), predicate=f"kind = '{kind}'{days}")
            try:
                yield pa.RecordBatchReader.from_stream(rows).cast(schema)
            except pa.ArrowInvalid as error:  # how an error of delta-rs comes through a stream
                raise NotReady(f"the lake: {error}") from error

    def _append(self, rows: pa.Table, transaction: Transaction, facts: Mapping[str, Any]) -> int:
        with _translated():
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

    def _newest(self) -> DeltaTable | None:
        """Return the table as it stands now, None before there is one.

        It is kept, so that only commits since the last look are read.
        """
        with _translated():
            table, self._table = self._table, None  # one that fails is not kept
            if table is None:
                table = self._open()
            else:
                table.update_incremental()
            self._table = table
            return table

    def _open(self, version: int | None = None) -> DeltaTable | None:
        with _translated():
            try:
                return DeltaTable(self.uri, version=version, storage_options=dict(self.options))
            except TableNotFoundError:
                return None

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


def _added(table: DeltaTable, first: int, last: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with _translated():
        changes = table.load_cdf(first, last, columns=[f'"{name}"' for name in (*columns, _CHANGE)])
        schema = pa.schema([*(LAKE_SCHEMA.field(name) for name in columns), (_CHANGE, pa.string())])
        try:
            for batch in pa.RecordBatchReader.from_stream(changes).cast(schema):
                yield batch.filter(pc.equal(batch[_CHANGE], "insert")).select(list(columns))
        except pa.ArrowInvalid as error:
            raise NotReady(f"the lake: {error}") from error


def _backfill(topic: str, partition: int) -> str:
    return f"backfill:{topic}-{partition}"


@contextmanager
def _translated() -> Iterator[None]:
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

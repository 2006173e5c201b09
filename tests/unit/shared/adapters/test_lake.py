import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from unittest.mock import Mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from shared.adapters.lake import DeltaLake
from shared.errors import Conflict, NotReady
from shared.ports import Fold, Partition
from shared.records import SCHEMA, to_table
from shared.rows import Row
from tests.lake import put_back


def rows(*offsets: int, kind: str = "rating") -> "list[Row]":
    return [Row(kind, "movielog", 0, n, 1_764_000_000_000_000, user_id="1", movie_id="m", rating=1.0) for n in offsets]  # type: ignore[arg-type]


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    return DeltaLake(str(tmp_path / "lake"), {})


def offsets(lake: DeltaLake, kind: str = "rating", version: int | None = None) -> list[int]:
    return lake.read(kind, ["offset"], version)["offset"].to_pylist()


def test_a_new_lake_is_empty(lake: DeltaLake) -> None:
    """Who only looks makes nothing; the first commit does, and whoever looked before sees it."""
    writer = DeltaLake(lake.uri, {})
    assert (lake.version(), lake.last_fold(), lake.counts(), offsets(lake)) == (-1, Fold(0, []), {}, [])
    assert (list(lake.scan("rating", ["offset"])), since(lake, 7), lake.backfilled("movielog", 0)) == (
        [],
        (-1, []),
        None,
    )
    lake.compact()
    with pytest.raises(NotReady, match="version 7"):
        offsets(lake, version=7)
    assert not Path(lake.uri).exists()
    writer.fold(to_table(rows(1)), Fold(1, ["a"]))
    assert (offsets(lake), since(lake, -1)) == ([1], (writer.version(), [("rating", 1)]))


def test_writers_who_make_the_lake_at_once_make_one(tmp_path: Path) -> None:
    """As a backfill of several partitions into an empty bucket does: the rows of all are in it."""
    for number in range(10):
        writers = [DeltaLake(str(tmp_path / f"lake-{number}"), {}) for _ in range(6)]
        together = threading.Barrier(len(writers))

        def write(partition: int, writer: DeltaLake, together: threading.Barrier = together) -> int:
            together.wait(10)
            return writer.backfill(to_table(rows(1)), "movielog", partition, 1)

        with ThreadPoolExecutor(len(writers)) as pool:
            assert sorted(pool.map(write, range(len(writers)), writers)) == list(range(1, len(writers) + 1))


def test_a_fold_is_remembered_by_the_commit_itself(lake: DeltaLake) -> None:
    """Rows, the number of the fold and the names of its objects become true in one commit."""
    lake.fold(to_table(rows(1, 2)), Fold(1, ["landing/a"]))
    version = lake.fold(to_table(rows(3)), Fold(2, ["landing/b", "landing/c"]))
    assert lake.version() == version
    assert lake.last_fold() == Fold(2, ["landing/b", "landing/c"])
    assert offsets(lake) == [1, 2, 3]


def test_a_fold_happens_once(lake: DeltaLake) -> None:
    """A number that is taken is refused, also to a writer that opened the table before."""
    lake.fold(to_table(rows(1)), Fold(1, ["a"]))
    with pytest.raises(Conflict):
        lake.fold(to_table(rows(1)), Fold(1, ["a"]))
    assert offsets(lake) == [1]


def test_a_version_is_forever_what_it_was(lake: DeltaLake) -> None:
    """Reading at a version gives what stood then, whatever was folded or compacted later."""
    then = lake.fold(to_table(rows(1)), Fold(1, ["a"]))
    lake.fold(to_table(rows(2)), Fold(2, ["b"]))
    lake.compact()
    assert offsets(lake, version=then) == [1]
    assert offsets(lake) == [1, 2]


def test_a_record_stored_twice_is_read_once(lake: DeltaLake) -> None:
    """Delivery is at least once; readers see each place in Kafka once, the count counts what is stored."""
    lake.fold(to_table(rows(1, 2)), Fold(1, ["a"]))
    lake.fold(to_table(rows(2, 3)), Fold(2, ["b"]))
    assert offsets(lake) == [1, 2, 3]
    assert lake.counts() == {"rating": 4}


def test_a_scan_yields_what_is_stored(lake: DeltaLake) -> None:
    """Batches of the columns asked for, in the lake's own types, repeats included, at a version or now."""
    then = lake.fold(to_table(rows(1, 2)), Fold(1, ["a"]))
    lake.fold(to_table(rows(2, 3) + rows(4, kind="watch")), Fold(2, ["b"]))
    columns = [field.name for field in SCHEMA]
    found = pa.Table.from_batches(lake.scan("rating", columns))
    assert found.schema == SCHEMA
    assert sorted(found["offset"].to_pylist()) == [1, 2, 2, 3]
    assert sorted(pa.Table.from_batches(lake.scan("rating", ["offset"], then))["offset"].to_pylist()) == [1, 2]
    assert list(lake.scan("request", columns)) == []


def test_a_scan_is_lazy(lake: DeltaLake) -> None:
    """Files are opened as batches are asked for: when they vanish after the first, the rest says: later."""
    days = rows(*range(500))
    for number, row in enumerate(days):
        row.ingested_at += number * 86_400_000_000
    lake.fold(to_table(days), Fold(1, ["a"]))
    files = list(Path(lake.uri).rglob("part-*.parquet"))
    scan = lake.scan("rating", ["offset"])
    assert (len(files), len(next(scan))) == (500, 1)
    for file in files:
        file.unlink()
    with pytest.raises(NotReady):
        list(scan)


def test_kinds_are_apart(lake: DeltaLake) -> None:
    """A reader of one kind never sees another."""
    lake.fold(to_table(rows(1) + rows(2, kind="watch")), Fold(1, ["a"]))
    assert (offsets(lake), offsets(lake, "watch"), lake.counts()) == ([1], [2], {"rating": 1, "watch": 1})


def test_compaction_keeps_the_memory_of_folds(lake: DeltaLake) -> None:
    """After small files were joined, the last fold is still known, and nothing is read twice."""
    for number in range(1, 6):
        lake.fold(to_table(rows(number)), Fold(number, [f"k{number}"]))
    lake.compact()
    assert lake.last_fold() == Fold(5, ["k5"])
    assert offsets(lake) == [1, 2, 3, 4, 5]


def test_a_backfill_goes_on_where_it_stopped(lake: DeltaLake) -> None:
    """The last offset of each partition is committed with its rows, apart from other partitions and folds."""
    assert lake.backfilled("movielog", 0) is None
    lake.backfill(to_table(rows(1, 2)), "movielog", 0, 2)
    lake.fold(to_table(rows(9)), Fold(1, ["a"]))
    assert (lake.backfilled("movielog", 0), lake.backfilled("movielog", 1)) == (2, None)
    with pytest.raises(Conflict):
        lake.backfill(to_table(rows(1, 2)), "movielog", 0, 2)
    assert offsets(lake) == [1, 2, 9]


def test_a_store_that_is_away_is_not_ready() -> None:
    """A lake that cannot be reached says: later."""
    options = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "max_retries": "0", "retry_timeout": "1s"}
    with pytest.raises(NotReady):
        DeltaLake("s3://b/lake", options | keys).version()


def since(lake: DeltaLake, version: int) -> tuple[int, list[tuple[str, int]]]:
    newest, batches = lake.since(version, ["rating", "watch"], ["kind", "offset"])
    return newest, [pair for batch in batches for pair in zip(*batch.values(), strict=True)]


def test_what_came_since_a_version_is_read_alone(lake: DeltaLake) -> None:
    """Rows of later commits of the kinds asked for, nothing of those before, and nothing at the newest version."""
    lake.fold(to_table(rows(1)), Fold(1, ["a"]))
    then = lake.version()
    lake.fold(to_table([*rows(2), *rows(3, kind="watch"), *rows(4, kind="request")]), Fold(2, ["b"]))
    newest, found = since(lake, then)
    assert (newest, sorted(found)) == (lake.version(), [("rating", 2), ("watch", 3)])
    assert since(lake, newest) == (newest, [])


def test_a_compaction_brings_nothing_new(lake: DeltaLake) -> None:
    """The rows it moves came before; those after it come, however many versions lie between."""
    for number in range(1, 6):
        lake.fold(to_table(rows(number)), Fold(number, [str(number)]))
    then = lake.version()
    lake.compact()
    assert since(lake, then) == (lake.version(), [])
    lake.fold(to_table(rows(9)), Fold(6, ["f"]))
    assert since(lake, then)[1] == [("rating", 9)]


def test_what_came_since_cannot_be_read_without_its_files(lake: DeltaLake) -> None:
    """It is said, and nothing is skipped."""
    then = lake.version()
    lake.fold(to_table(rows(1)), Fold(1, ["a"]))
    for file in Path(lake.uri).rglob("*.parquet"):
        if "_delta_log" not in file.parts:
            file.unlink()
    with pytest.raises(NotReady):
        since(lake, then)


TODAY = date(2025, 11, 24)


def test_files_say_what_they_hold(lake: DeltaLake) -> None:
    """Kind, day and rows of each, at a version or now."""
    assert lake.files() == []
    then = lake.fold(to_table(rows(1, 2)), Fold(1, ["a"]))
    late = rows(3)
    late[0].ingested_at += 86_400_000_000
    lake.fold(to_table([*rows(4), *late, *rows(5, kind="watch")]), Fold(2, ["b"]))
    rating, watch = Partition("rating", TODAY), Partition("watch", TODAY)
    tomorrow = Partition("rating", date(2025, 11, 25))
    assert sorted(file[1:] for file in lake.files()) == [(rating, 1), (rating, 2), (tomorrow, 1), (watch, 1)]
    assert [file[1:] for file in lake.files(then)] == [(rating, 2)]
    assert {file.path for file in lake.files(then)} < {file.path for file in lake.files()}
    assert all((Path(lake.uri) / file.path).exists() for file in lake.files())


def test_a_partition_is_dropped_without_touching_a_file(lake: DeltaLake) -> None:
    """Now it is gone; at the version before it is there, and rows since then can be followed."""
    then = lake.fold(to_table([*rows(1), *rows(2, kind="watch")]), Fold(1, ["a"]))
    lake.fold(to_table(rows(3)), Fold(2, ["b"]))
    before = sorted(Path(lake.uri).rglob("part-*.parquet"))
    lake.drop([Partition("rating", TODAY), Partition("request", TODAY)])
    assert (offsets(lake), offsets(lake, "watch"), offsets(lake, version=then)) == ([], [2], [1])
    assert sorted(Path(lake.uri).rglob("part-*.parquet")) == before
    assert since(lake, then)[1] == [("rating", 3)]


def test_a_vacuum_takes_only_what_no_version_from_a_live_one_on_needs(lake: DeltaLake) -> None:
    """Compacted and dropped files, and those that a failed commit left, once the live version is younger."""
    lake.fold(to_table(rows(1)), Fold(1, ["a"]))
    live = lake.fold(to_table(rows(2)), Fold(2, ["b"]))
    lake.compact()
    (Path(lake.uri) / "kind=rating/date=2025-11-24/part-left-behind.parquet").write_bytes(b"x")
    put_back(Path(lake.uri), hours=1_000)
    assert lake.vacuum([live, lake.version()]).n_files == 0
    assert (offsets(lake, version=live), since(lake, live)) == ([1, 2], (lake.version(), []))

    live = lake.fold(to_table(rows(3)), Fold(3, ["c"]))
    found = lake.vacuum([live])
    assert found.n_files == 3
    assert found.n_bytes > 1
    assert (offsets(lake), offsets(lake, version=live)) == ([1, 2, 3], [1, 2, 3])


def test_what_was_prepared_before_a_fence_is_not_committed(lake: DeltaLake) -> None:
    """A compaction that read older bytes fails, and so does an append; whoever comes after does not."""
    for number in (1, 2):
        lake.fold(to_table(rows(number)), Fold(number, [str(number)]))
    late = DeltaTable(lake.uri)
    lake.fence()
    with pytest.raises(CommitFailedError, match="Metadata changed"):
        late.optimize.compact()
    lake.compact()
    lake.fold(to_table(rows(3)), Fold(3, ["c"]))
    assert offsets(lake) == [1, 2, 3]


def test_a_few_rows_are_found_by_their_texts(lake: DeltaLake) -> None:
    """Each once, whatever stands in a text; with bounds, those taken in then, whose days and files alone are read."""
    day = 86_400_000_000
    for number, user in enumerate(["1", "o'neil' OR '1' = '1", "1"]):
        made = rows(number)
        made[0].user_id, made[0].ingested_at = user, made[0].ingested_at + number * day
        for fold in (2 * number, 2 * number + 1):
            lake.fold(to_table(made), Fold(fold + 1, []))
    first = 1_764_000_000_000_000
    assert lake.find("rating", ["offset"], {"user_id": "1"}) == [{"offset": 0}, {"offset": 2}]
    assert lake.find("rating", ["offset"], {"user_id": "o'neil' OR '1' = '1"}) == [{"offset": 1}]
    assert lake.find("rating", ["ingested_at"], {"user_id": "1", "movie_id": "m"}, since=first + 1) == [
        {"ingested_at": first + 2 * day}
    ]
    assert lake.find("rating", ["offset"], {"user_id": "1"}, first, first + day) == [{"offset": 0}]
    assert lake.find("watch", ["offset"], {"user_id": "1"}) == lake.find("rating", ["offset"], {"user_id": "9"}) == []


def test_the_log_names_nobody(lake: DeltaLake) -> None:
    """Statistics of users and movies are not kept, neither by folds nor by compactions, nor in a checkpoint."""
    made = rows(1, 2)
    for row in made:
        row.user_id, row.raw = "987654321", b"987654321"
    for number in (1, 2):
        lake.fold(to_table(made), Fold(number, [str(number)]))
    lake.compact()
    log = [file for file in (Path(lake.uri) / "_delta_log").iterdir() if file.is_file()]
    assert any(file.suffix == ".parquet" for file in log)
    for file in log:
        told = repr(pq.read_table(file).to_pylist()) if file.suffix == ".parquet" else file.read_text()
        assert "987654321" not in told


@pytest.mark.parametrize(("name", "expected"), [("PanicException", NotReady), ("OtherException", BaseException)])
def test_a_panic_of_the_library_is_an_error_like_any_other(
    lake: DeltaLake, name: str, expected: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A panic in Rust is no Exception: it must end no process. Other things that are none must."""
    error = type(name, (BaseException,), {})("unwrap")
    write = Mock(side_effect=error)
    monkeypatch.setattr("shared.adapters.lake.write_deltalake", write)
    with pytest.raises(BaseException, match="unwrap") as found:
        lake.fold(to_table(rows(1)), Fold(1, []))
    assert isinstance(found.value, expected)
    assert isinstance(found.value, Exception) == (expected is NotReady)

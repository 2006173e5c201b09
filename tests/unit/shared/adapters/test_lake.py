from pathlib import Path
from unittest.mock import Mock

import pyarrow as pa
import pytest

from shared.adapters.lake import DeltaLake
from shared.errors import Conflict, NotReady
from shared.ports import Fold
from shared.records import SCHEMA, to_table
from shared.rows import Row


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
    newest, batches = lake.since(version, ["kind", "offset"])
    return newest, [pair for batch in batches for pair in zip(*batch.to_pydict().values(), strict=True)]


def test_what_came_since_a_version_is_read_alone(lake: DeltaLake) -> None:
    """All kinds of rows of later commits, nothing of those before, and nothing at the newest version."""
    lake.fold(to_table(rows(1)), Fold(1, ["a"]))
    then = lake.version()
    lake.fold(to_table([*rows(2), *rows(3, kind="watch")]), Fold(2, ["b"]))
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

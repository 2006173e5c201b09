import gc
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from shared.adapters.apart import CommitsApart
from shared.adapters.lake import DeltaLake
from shared.errors import NotReady
from shared.ports import Fold
from shared.records import to_table
from tests.unit.shared.adapters.test_lake import rows


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    return DeltaLake(str(tmp_path / "lake"), {})


@pytest.fixture
def commits(lake: DeltaLake) -> Iterator[CommitsApart]:
    commits = CommitsApart(lake.uri, {})
    yield commits
    commits.close()


def offsets(commits: CommitsApart, version: int) -> tuple[int, list[int]]:
    newest, found = commits.since(version, ["rating"], ["offset"])
    return newest, sorted(offset for each in found for offset in each["offset"])


def test_it_says_what_the_lake_itself_would(lake: DeltaLake, commits: CommitsApart) -> None:
    """Before there is a lake, and commit after commit."""
    assert offsets(commits, -1) == (-1, [])
    lake.fold(to_table(rows(1, 2)), Fold(1, ["a"]))
    first, found = offsets(commits, -1)
    assert found == [1, 2]
    lake.fold(to_table(rows(3)), Fold(2, ["b"]))
    assert offsets(commits, first) == (lake.version(), [3])
    assert offsets(commits, lake.version()) == (lake.version(), [])


def test_what_is_left_unread_is_forgotten(lake: DeltaLake, commits: CommitsApart) -> None:
    """Who stopped in the middle asks again, and gets all of it."""
    lake.fold(to_table(rows(1, 2)), Fold(1, ["a"]))
    _, found = commits.since(-1, ["rating"], ["offset"])
    next(found)
    assert offsets(commits, -1)[1] == [1, 2]


def test_a_process_that_died_is_started_again(lake: DeltaLake, commits: CommitsApart) -> None:
    """It is not ready once, and then it is."""
    lake.fold(to_table(rows(1)), Fold(1, ["a"]))
    assert offsets(commits, -1)[1] == [1]
    process(commits).kill()
    with pytest.raises(NotReady, match="started again"):
        offsets(commits, -1)
    assert offsets(commits, -1)[1] == [1]


def test_what_is_wrong_with_the_lake_is_said(lake: DeltaLake, commits: CommitsApart) -> None:
    """By the same error as without a process; it can be asked again."""
    lake.fold(to_table(rows(1)), Fold(1, ["a"]))
    for file in Path(lake.uri).glob("kind=*/**/*.parquet"):
        file.rename(file.with_suffix(".away"))
    for _ in range(2):
        with pytest.raises(NotReady, match="the lake"):
            offsets(commits, -1)


def process(commits: CommitsApart) -> psutil.Process:
    """Return the one process that this one started last."""
    return max(psutil.Process().children(), key=lambda child: child.create_time())


def test_the_process_ends_with_whoever_started_it(lake: DeltaLake, commits: CommitsApart) -> None:
    """It has nobody to answer any more."""
    offsets(commits, -1)
    child, pipe = process(commits), commits._pipe
    assert pipe
    pipe.close()
    assert child.wait(20) == 0


def test_the_process_of_whoever_is_forgotten_ends(lake: DeltaLake) -> None:
    """Nobody has to remember to close it."""
    commits = CommitsApart(lake.uri, {})
    offsets(commits, -1)
    child = process(commits)
    del commits
    gc.collect()
    assert not child.is_running()


def test_a_store_that_is_silent_stops_nobody_else(lake: DeltaLake, commits: CommitsApart) -> None:
    """Whoever waits for it waits alone: other threads go on, as those that answer users."""
    lake.fold(to_table(rows(1)), Fold(1, ["a"]))
    (file,) = Path(lake.uri).glob("kind=*/**/*.parquet")
    file.unlink()
    os.mkfifo(file)  # who reads it waits until somebody writes

    def wait() -> None:
        with suppress(NotReady):
            offsets(commits, -1)

    waiting = threading.Thread(target=wait)
    waiting.start()
    try:
        ticks, until = 0, time.monotonic() + 3
        while time.monotonic() < until:
            time.sleep(0.001)
            ticks += 1
        assert waiting.is_alive()
    finally:
        commits.close()
        waiting.join(20)
    assert ticks > 100

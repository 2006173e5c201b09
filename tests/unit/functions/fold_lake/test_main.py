from dataclasses import replace
from pathlib import Path

import pytest

from functions.fold_lake.main import handle
from functions.ingest.core import landing_object
from shared import failpoints, forgotten
from shared.bootstrap import Deps
from shared.errors import Conflict, NotReady
from shared.events import LakeFolded, Tick
from shared.ports import NO_VERSION
from shared.rows import Row
from tests import entry, fakes


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def deps(tmp_path: Path) -> Deps:
    return fakes.deps(tmp_path)


def land(deps: Deps, *offsets: int) -> None:
    for offset in offsets:
        deps.objects.put(*landing_object([Row("account", "movielog", 0, offset, 1_764_000_000_000_000 + offset)]))


def folded(deps: Deps) -> list[int]:
    return deps.lake.read("account", ["offset"])["offset"].to_pylist()


def test_what_landed_is_in_the_lake_and_gone_from_landing(deps: Deps) -> None:
    """One commit for all, its objects deleted, the version announced."""
    land(deps, 1, 2, 3)
    handle(Tick(), deps)
    assert folded(deps) == [1, 2, 3]
    assert deps.objects.keys("landing/") == []
    assert deps.publisher.events == [LakeFolded(1, 3)]  # type: ignore[attr-defined]


def test_nothing_landed_makes_no_version(deps: Deps) -> None:
    """A tick on an empty landing zone leaves no trace."""
    handle(Tick(), deps)
    assert (deps.lake.version(), deps.publisher.events) == (NO_VERSION, [])  # type: ignore[attr-defined]


def test_many_objects_are_folded_in_several_commits(tmp_path: Path) -> None:
    """A fold is never larger than its setting."""
    deps = fakes.deps(tmp_path, fold_max_objects="2")
    land(deps, *range(5))
    handle(Tick(), deps)
    assert folded(deps) == list(range(5))
    assert deps.lake.last_fold().number == 3


@pytest.mark.parametrize(
    "place",
    ["fold_lake.before_commit", "fold_lake.after_commit", "fold_lake.after_delete", "fold_lake.before_answer"],
)
def test_dying_anywhere_loses_and_doubles_nothing(deps: Deps, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes next finishes or repeats the work of the dead, and stored rows are never twice."""
    land(deps, 1, 2)

    def die(name: str) -> None:
        if name == place:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "reach", die)
        with pytest.raises(Killed):
            handle(Tick(), deps)
    land(deps, 3)
    handle(Tick(), deps)
    assert folded(deps) == [1, 2, 3]
    assert deps.lake.counts() == {"account": 3}
    assert deps.objects.keys("landing/") == []


def test_an_unreadable_object_is_set_aside_not_lost(deps: Deps) -> None:
    """It is kept under refused/, and the others are folded."""
    land(deps, 1)
    deps.objects.put("landing/20260101T000000.000000-x.parquet", b"garbage")
    handle(Tick(), deps)
    assert folded(deps) == [1]
    assert deps.objects.get("refused/20260101T000000.000000-x.parquet").data == b"garbage"


def test_compaction_happens_on_the_way(tmp_path: Path) -> None:
    """Small files are joined every so many folds, and readers see no difference."""
    deps = fakes.deps(tmp_path, compact_every_folds="3")
    for offset in range(7):
        land(deps, offset)
        handle(Tick(), deps)
    assert folded(deps) == list(range(7))
    assert deps.lake.version() > 7


def test_a_silent_kafka_is_told_to_the_source_and_made_good(deps: Deps) -> None:
    """The rows are safe, and the next fold's event speaks for them too."""
    land(deps, 1)
    deps.publisher.down = True  # type: ignore[attr-defined]
    with pytest.raises(NotReady):
        handle(Tick(), deps)
    deps.publisher.down = False  # type: ignore[attr-defined]
    land(deps, 2)
    handle(Tick(), deps)
    assert folded(deps) == [1, 2]
    assert deps.publisher.events == [LakeFolded(2, 1)]  # type: ignore[attr-defined]


def test_what_was_read_before_somebody_asked_to_be_forgotten_is_read_again(
    deps: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their rows may be among it: nothing is committed, and the source comes again."""
    land(deps, 1)

    def ask(name: str) -> None:
        if name == "fold_lake.before_commit":
            forgotten.remember(deps.objects, "15")

    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "reach", ask)
        with pytest.raises(Conflict):
            handle(Tick(), deps)
    assert folded(deps) == []
    handle(Tick(), deps)
    assert folded(deps) == [1]


def test_rows_of_who_asked_to_be_forgotten_do_not_reach_the_lake(deps: Deps) -> None:
    """They had landed and an erasure has not come to them yet: they are gone from landing, the other is folded."""
    theirs = Row("account", "movielog", 0, 1, 1_764_000_000_000_000, user_id="15")
    line = replace(theirs, kind="quarantine", offset=2, user_id=None, raw=b"2026-11-20T10:00:00,15,GET /rate/m1=99")
    other = replace(theirs, offset=3, user_id="151")
    deps.objects.put(*landing_object([theirs, line, other]))
    forgotten.remember(deps.objects, "15")
    handle(Tick(), deps)
    assert folded(deps) == [3]
    assert deps.lake.counts() == {"account": 1}
    assert deps.objects.keys("landing/") == []


def test_through_the_framework(deps: Deps, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick over HTTP folds; an event that is not for this function is refused."""
    land(deps, 1)
    client = entry.client("fold_lake", deps, monkeypatch)
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/ping", "ce-type": Tick.type}
    assert client.post("/", content=b"{}", headers=headers).status_code == 204
    assert folded(deps) == [1]
    assert client.post("/", content=b"{}", headers=headers | {"ce-type": LakeFolded.type}).status_code == 400

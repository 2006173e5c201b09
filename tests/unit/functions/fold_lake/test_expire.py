"""What is let go, and what never is."""

import dataclasses
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from functions.fold_lake.main import handle
from shared import failpoints, keys, telemetry
from shared.bootstrap import Deps
from shared.events import EventsLanded, Tick
from shared.ports import Fold
from shared.records import to_table
from shared.rows import Row
from tests import fakes
from tests.lake import put_back

DAY = timedelta(days=1)


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def deps(tmp_path: Path) -> Deps:
    return fakes.bucket(tmp_path, retain_watch_days="10", retain_rating_days="10", online_days="1")


def happen(deps: Deps, kind: str, offset: int, age: timedelta) -> int:
    """Commit one row that was taken in some time ago, and return the version."""
    at = micros(fakes.NOW - age)
    row = Row(kind, "movielog", 0, offset, at, time=at, user_id="1", movie_id="m", rating=1.0)  # type: ignore[arg-type]
    return deps.lake.fold(to_table([row]), Fold(deps.lake.last_fold().number + 1, []))


def micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)


def use(deps: Deps, matrix: int | None = None, evaluated: int | None = None) -> None:
    """Say what was used last: all that there is, if not told otherwise."""
    for channel, version in ((keys.MATRIX_CHANNEL, matrix), (keys.EVALUATION_CHANNEL, evaluated)):
        state = {"lake_version": deps.lake.version() if version is None else version, "n_stored": 5, "n_watched": 1}
        deps.channels.update(channel, lambda _, state=state: state)  # type: ignore[misc]


def serve(deps: Deps, version: str, lake_version: int, where: Callable[[str], dict[str, object]]) -> None:
    """Store a model and its matrix, without files, and name it in the channel."""
    matrix = keys.matrix(f"m{version}")
    deps.artifacts.put(matrix, {}, deps.manifest(kind="matrix", id=f"m{version}", lake_version=lake_version))
    deps.artifacts.put(keys.model("svd", version), {}, deps.manifest(kind="model", id=version, made_from=matrix))
    deps.channels.update("score-svd", lambda now: {**now, **where(version)})


def tomorrow(deps: Deps) -> Deps:
    return dataclasses.replace(deps, now=lambda: fakes.NOW + DAY)


def offsets(deps: Deps, kind: str = "watch", version: int | None = None) -> list[int]:
    return deps.lake.read(kind, ["offset"], version)["offset"].to_pylist()


def files(deps: Deps) -> int:
    return sum(key.endswith(".parquet") for key in deps.objects.keys("lake/events/kind="))


def folder(deps: Deps) -> Path:
    return deps.objects.folder / keys.LAKE  # type: ignore[attr-defined,no-any-return]


def test_old_rows_go_and_newer_ones_stay(deps: Deps) -> None:
    """By whole days and by kind; what is kept for ever is."""
    for offset, (kind, age) in enumerate([("watch", 12), ("watch", 9), ("rating", 12), ("account", 700)]):
        happen(deps, kind, offset, age * DAY)
    use(deps)
    handle(Tick(), deps)
    assert (offsets(deps), offsets(deps, "rating"), offsets(deps, "account")) == ([1], [], [3])


@pytest.mark.parametrize(("days", "left"), [("90", ["10", "11"]), ("0", ["8", "9", "10", "11"])])
def test_online_reports_go_with_the_lists_that_they_are_about(tmp_path: Path, days: str, left: list[str]) -> None:
    """By age, not by name; decisions stay."""
    deps = fakes.bucket(tmp_path, retain_served_days=days)
    for number, age in enumerate([92, 91, 89, 0], 8):
        report = json.dumps({"evaluated_at": micros(fakes.NOW - age * DAY)}).encode()
        deps.objects.put(keys.online_report(number), report)
    deps.objects.put(keys.decision("score-svd", "m", 8), b"why")
    happen(deps, "watch", 1, DAY)
    use(deps)
    handle(Tick(), deps)
    assert set(deps.objects.keys("reports/")) == {f"reports/online/{number}.json" for number in left}
    assert deps.objects.keys("decisions/")


@pytest.mark.parametrize("missing", [keys.MATRIX_CHANNEL, keys.EVALUATION_CHANNEL])
def test_without_a_matrix_or_an_evaluation_nothing_goes(deps: Deps, missing: str) -> None:
    """What nobody has used is kept, however old."""
    happen(deps, "watch", 1, 99 * DAY)
    use(deps)
    deps.objects.delete([keys.channel(missing)])
    handle(Tick(), deps)
    assert offsets(deps) == [1]


@pytest.mark.parametrize("late", ["matrix", "evaluated"])
def test_what_came_after_the_matrix_or_the_evaluation_stays(deps: Deps, late: str) -> None:
    """Also an old row that landed late, with the whole day that it is of."""
    before = happen(deps, "watch", 1, 99 * DAY)
    happen(deps, "watch", 2, 99 * DAY)
    happen(deps, "watch", 3, 98 * DAY)
    use(deps, **{late: before})
    handle(Tick(), deps)
    assert offsets(deps) == [1, 2, 3]
    use(deps)
    handle(Tick(), tomorrow(deps))
    assert offsets(deps) == []


def test_it_is_done_now_and_then_and_only_on_a_tick(deps: Deps) -> None:
    """Not with what lands, and not again before its time."""
    happen(deps, "watch", 1, 99 * DAY)
    use(deps)
    handle(EventsLanded("landing/x", 1), deps)
    assert offsets(deps) == [1]
    handle(Tick(), deps)
    happen(deps, "watch", 2, 99 * DAY)
    use(deps)
    handle(Tick(), deps)
    assert offsets(deps) == [2]


@pytest.mark.parametrize(
    "state",
    [
        b"{",
        b"[]",
        b'{"expired_at": 1.5e9}',
        b'{"expired_at": "yesterday"}',
        b'{"expired_at": "2026-11-23T11:59:59"}',
        b'{"expired_at": "2026-11-24T12:00:01+00:00"}',
        b'{"expired_at": "9999-12-31T23:59:59-14:00"}',
    ],
)
def test_a_last_time_that_cannot_be_stops_nothing(deps: Deps, state: bytes) -> None:
    """Nobody waits for a year that is to come, nor for who could read the unreadable: it is told, and set right."""
    happen(deps, "watch", 1, 99 * DAY)
    use(deps)
    deps.objects.put(keys.channel(keys.EXPIRY_CHANNEL), state)
    told = telemetry.CHANNEL_UNREADABLE.labels(keys.EXPIRY_CHANNEL)._value
    before = told.get()
    handle(Tick(), deps)
    assert offsets(deps) == []
    assert told.get() > before
    before = told.get()
    handle(Tick(), deps)
    assert told.get() == before


def test_a_clock_that_is_a_little_wrong_is_waited_for(deps: Deps) -> None:
    """Another copy may have let the old go a moment ago by a clock that is ahead."""
    happen(deps, "watch", 1, 99 * DAY)
    use(deps)
    deps.channels.update(keys.EXPIRY_CHANNEL, lambda _: {"expired_at": (fakes.NOW + DAY).isoformat()})
    handle(Tick(), deps)
    assert offsets(deps) == [1]


def test_new_ratings_are_seen_beside_those_that_went(deps: Deps) -> None:
    """The standing matrix counted five; of its own two are left, so a third that comes is one more."""
    happen(deps, "rating", 1, 99 * DAY)
    happen(deps, "rating", 2, DAY)
    happen(deps, "rating", 3, DAY)
    use(deps)
    happen(deps, "rating", 4, DAY)
    handle(Tick(), deps)
    counted = deps.channels.get(keys.MATRIX_CHANNEL)
    assert (counted["n_stored"], counted["n_watched"]) == (2, 0)
    assert deps.lake.counts()["rating"] == 3


def test_files_go_once_no_live_model_needs_them(deps: Deps) -> None:
    """While a model of an older matrix is live, its version reads as ever and its rows since can be followed."""
    happen(deps, "watch", 1, 99 * DAY)
    then = happen(deps, "watch", 2, 98 * DAY)
    happen(deps, "watch", 3, 97 * DAY)
    serve(deps, "v1", then, lambda version: {"canary": {"model_version": version}})
    use(deps)
    put_back(folder(deps), hours=50)
    handle(Tick(), deps)
    assert (offsets(deps), offsets(deps, version=then)) == ([], [1, 2])
    _, batches = deps.lake.since(then, ["watch"], ["offset"])
    assert [offset for batch in batches for offset in batch["offset"]] == [3]

    put_back(folder(deps), hours=50)
    happen(deps, "watch", 4, DAY)
    use(deps)
    serve(deps, "v2", deps.lake.version(), lambda version: {"model_version": version, "canary": None})
    before = files(deps)
    handle(Tick(), tomorrow(deps))
    assert (before, files(deps), offsets(deps)) == (4, 1, [4])


def test_in_doubt_about_live_models_no_file_goes(deps: Deps) -> None:
    """A channel that cannot be read may have named any of the models."""
    happen(deps, "watch", 1, 99 * DAY)
    serve(deps, "v1", deps.lake.version(), lambda version: {"model_version": version})
    deps.objects.put(keys.channel("score-svd"), b"garbage")
    put_back(folder(deps), hours=50)
    use(deps, matrix=happen(deps, "watch", 2, DAY), evaluated=deps.lake.version())
    handle(Tick(), deps)
    assert (offsets(deps), files(deps)) == ([2], 2)


def test_a_live_model_whose_matrix_is_gone_is_no_hindrance(deps: Deps) -> None:
    """Nobody can load it, so nothing is kept for it."""
    happen(deps, "watch", 1, 99 * DAY)
    deps.channels.update("score-svd", lambda _: {"model_version": "nowhere"})
    use(deps)
    handle(Tick(), deps)
    assert offsets(deps) == []


@pytest.mark.parametrize("place", ["expire.before_drop", "expire.after_drop", "expire.after_vacuum"])
def test_dying_anywhere_it_is_completed_next_time(deps: Deps, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what came meanwhile is there."""
    happen(deps, "watch", 1, 99 * DAY)
    happen(deps, "rating", 2, 99 * DAY)
    use(deps)

    def die(name: str) -> None:
        if name == place:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "reach", die)
        with pytest.raises(Killed):
            handle(Tick(), deps)
    happen(deps, "watch", 3, DAY)
    handle(Tick(), deps)
    assert (offsets(deps), offsets(deps, "rating")) == ([3], [])
    assert deps.channels.get(keys.MATRIX_CHANNEL)["n_stored"] == 0
    assert "expired_at" in deps.channels.get(keys.EXPIRY_CHANNEL)

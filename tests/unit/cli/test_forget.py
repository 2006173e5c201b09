"""One user erased from a bucket in a folder, and nobody else."""

import json
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from typer.testing import CliRunner

from cli import forget_command
from cli.forget import Report, forget
from cli.main import app
from functions.fold_lake import main as fold_lake
from functions.ingest.core import landing_object
from functions.score import core as scoring
from functions.score.fresh import NOTHING
from functions.train import core as training
from shared import bootstrap, failpoints, forgotten, keys
from shared.adapters.lake import DeltaLake
from shared.bootstrap import Deps
from shared.errors import BadInput, NotReady
from shared.events import Tick
from shared.history import HISTORY
from shared.ports import Fold
from shared.records import LAKE_SCHEMA, to_table
from shared.rows import Kind, Row
from tests import fakes
from tests.ratings import checkerboard, matrix_of

USER = "3"
SPLIT, FILES = matrix_of(checkerboard(6), 1 / 36)
MODEL = training.fit(SPLIT.train, "svd", training.Parameters(4, 20, 0.02, 0.01), seed=1)
MATRIX = keys.matrix(SPLIT.matrix_id)
PLACES = [
    *(f"forget.{place}" for place in ("listed", "landing_put", "landing", "lake_file", "lake", "models", "matrices")),
    *(f"rewrite.{place}" for place in ("before_manifest", "before_in_place", "in_place")),
    "forget.told",
]


class Killed(BaseException):
    """Stands for the end of the process."""


def row(kind: str, offset: int, user: str | None, **fields: object) -> Row:
    return Row(kind, "movielog", 0, offset, 1_764_000_000_000_000, time=5, user_id=user, **fields)  # type: ignore[arg-type]


def of(user: str, offset: int) -> list[Row]:
    """Return a row of every kind by a user."""
    return [
        row("watch", offset, user, movie_id="m0", minute=1),
        row("rating", offset + 1, user, movie_id="m0", rating=4.0),
        row("request", offset + 2, user, movies=["m1"], status=200),
        row("account", offset + 3, user),
        row("served", offset + 4, user, movies=["m1", USER], request_id="r", rung="personal"),
        row("quarantine", offset + 5, None, raw=f"2026-11-20T10:00:00,{user},GET /rate/{USER}=99".encode(), reason="x"),
    ]


@pytest.fixture
def deps(tmp_path: Path) -> Deps:
    """A bucket with two users in every place: the lake's versions, landing, a model, its matrix, and much else."""
    deps = fakes.bucket(tmp_path)
    lake, objects = deps.lake, deps.objects
    for number in range(3):
        lake.fold(to_table([*of(USER, 100 * number), *of("33", 100 * number + 50)]), Fold(number + 1, []))
    lake.compact()
    objects.put(*landing_object([*of(USER, 900), *of("33", 950)]))
    objects.put(*landing_object(of(USER, 980)))
    objects.put("refused/x.parquet", landing_object(of(USER, 990))[1])
    deps.artifacts.put(MATRIX, FILES, deps.manifest(kind="matrix", id=SPLIT.matrix_id, lake_version=2))
    story = deps.manifest(kind="model", id="v1", made_from=MATRIX)
    deps.artifacts.put(keys.model("svd", "v1"), MODEL.to_files(), story)
    objects.put("models/svd/unfinished/factors.npz", MODEL.to_files()["factors.npz"])
    deps.artifacts.put(keys.model("svd", "hurt"), MODEL.to_files(), story.model_copy(update={"id": "hurt"}))
    objects.put("models/svd/hurt/factors.npz", MODEL.to_files()["factors.npz"][:-40])
    deps.channels.update("score-svd", lambda _: {"model_version": "v1", "n_users": int(USER)})
    objects.put(keys.TITLES, json.dumps({USER: "A movie"}).encode())
    return deps


def users(deps: Deps, version: int | None = None) -> dict[str, set[str]]:
    """Return whose rows of each kind readers see."""
    kinds = ("watch", "rating", "request", "account", "served")
    found = {kind: set(deps.lake.read(kind, ["user_id"], version)["user_id"].to_pylist()) for kind in kinds}
    lines = deps.lake.read("quarantine", ["raw"], version)["raw"].to_pylist()
    return {**found, "quarantine": {line.decode().split(",")[1] for line in lines}}


def gone(deps: Deps) -> None:
    """Claim that nothing of the user is left anywhere, and that all of the other is there."""
    assert all(found == {"33"} for version in (None, 1, 2) for found in users(deps, version).values())
    assert len(deps.objects.keys("landing/")) == 1
    fold_lake.handle(Tick(), deps)
    assert deps.lake.read("watch", ["offset"])["offset"].to_pylist() == [50, 150, 250, 950]
    assert deps.objects.keys("refused/") == []
    stored = deps.artifacts.get(keys.model("svd", "v1"))
    matrix = deps.artifacts.get(MATRIX)
    assert (stored.manifest.erased, matrix.manifest.erased) == (1, 1)
    serving = scoring.load(stored, matrix.manifest, matrix.files[HISTORY], "svd", "v1")
    assert scoring.known(serving, USER, NOTHING) is None
    assert scoring.known(serving, "1", NOTHING) is not None
    assert deps.objects.keys("models/svd/unfinished/") == []


def test_nothing_of_a_user_is_left_and_all_of_others_is(deps: Deps) -> None:
    """In every version of the lake, landing, models, matrices; what was erased is counted, all is searched."""
    report = forget(USER, deps, 0)
    assert (report.is_new, report.left) == (True, {})
    assert report.n_searched == len(deps.objects.keys("")) - 1
    kinds = ("watch", "rating", "request", "account", "served", "quarantine")
    assert report.erased == {
        **{f"rows of kind {kind} in the lake": 6 for kind in kinds},
        "rows that had landed": 12,
        "models": 1,
        "matrices": 1,
        "unreadable or unfinished objects": 3,
    }
    gone(deps)


def test_rows_count_once_and_beside_that_with_their_copies(deps: Deps, capsys: pytest.CaptureFixture[str]) -> None:
    """A compaction has joined three small files, which older versions still have."""
    report = forget(USER, deps, 0)
    assert report.rows == {what: 3 for what in report.erased if "in the lake" in what}
    forget_command.show(report, as_json=False)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "rows of kind rating" in line)
    assert line.replace("│", " ").split()[-2:] == ["3", "6"]
    forget_command.show(report, as_json=True)
    assert json.loads(capsys.readouterr().out)["rows"]["rows of kind rating in the lake"] == 3


def test_what_dvc_keeps_of_a_user_goes_and_the_rest_stays(deps: Deps, tmp_path: Path) -> None:
    """Copies are named by their content, so they cannot be rewritten: those that mention the user are deleted."""
    vocabulary = FILES["vocabulary.parquet"]
    others = pa.table({"user_id": ["33"], "movie_id": [USER]})
    pq.write_table(others, tmp_path / "others.parquet")
    kept = {
        "dvc/files/md5/aa/1": vocabulary,
        "dvc/files/md5/bb/2": MODEL.to_files()["factors.npz"],
        "dvc/files/md5/cc/3": (tmp_path / "others.parquet").read_bytes(),
        "dvc/files/md5/dd/4.dir": json.dumps([{"md5": "aa1", "relpath": "vocabulary.parquet"}]).encode(),
        "dvc/files/md5/ee/5": FILES["train.npz"],
    }
    for key, data in kept.items():
        deps.objects.put(key, data)
    report = forget(USER, deps, 0)
    assert (report.erased["copies that DVC kept"], report.left) == (2, {})
    assert deps.objects.keys(keys.DVC) == [f"dvc/files/md5/{name}" for name in ("cc/3", "dd/4.dir", "ee/5")]


def test_a_second_time_there_is_nothing(deps: Deps) -> None:
    """And nothing changes but the count that has servers load anew."""
    forget(USER, deps, 0)
    before = {key: deps.objects.get(key) for key in deps.objects.keys("") if "_delta_log" not in key}
    report = forget(USER, deps, 0)
    after = {key: deps.objects.get(key) for key in deps.objects.keys("") if "_delta_log" not in key}
    assert (report.is_new, report.erased, report.left) == (False, {}, {})
    assert {key for key in after if after[key] != before.get(key)} == {keys.channel(keys.ERASURE_CHANNEL)}


def test_a_user_of_whom_nothing_is_known_is_forgotten_too(deps: Deps) -> None:
    """Success with zero counts, and what comes later is dropped."""
    deps.objects.delete(deps.objects.keys("models/svd/hurt/"))  # it cannot be said who is in it
    report = forget("999", deps, 0)
    assert (report.erased, report.left) == ({}, {})
    assert forgotten.read(deps.objects).holds(row("account", 1, "999"))


@pytest.mark.parametrize("place", PLACES)
def test_stopped_anywhere_the_next_run_completes_it(deps: Deps, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of others is lost on the way."""
    reached = []

    def die(name: str) -> None:
        if name == place and not reached:
            reached.append(name)
            raise Killed

    monkeypatch.setattr(failpoints, "reach", die)
    with pytest.raises(Killed):
        forget(USER, deps, 0)
    assert forget(USER, deps, 0).left == {}
    gone(deps)


def test_two_users_are_erased_one_after_the_other(deps: Deps, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one is, or was until the command was stopped, another is told to wait; then both are gone."""

    def die(name: str) -> None:
        if name == "forget.models":
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "reach", die)
        with pytest.raises(Killed):
            forget(USER, deps, 0)
    with pytest.raises(NotReady, match="another user is being erased"):
        forget("4", deps, 0)
    later = fakes.replace(deps, now=lambda: fakes.NOW + timedelta(minutes=31))
    assert forget("4", later, 0).left == {}
    assert forget(USER, later, 0).left == {}
    assert deps.artifacts.manifest(keys.model("svd", "v1")).erased == 2


def test_live_readers_go_on(deps: Deps) -> None:
    """What came since a version of before can still be followed, without the user."""
    lake = DeltaLake(deps.lake.uri, {})  # type: ignore[attr-defined]
    lake.version()
    forget(USER, deps, 0)
    _, batches = lake.since(1, get_args(Kind), ["user_id", "offset"])
    assert {user_id for batch in batches for user_id in batch["user_id"]} == {"33", None}


def test_a_compaction_that_read_the_bytes_of_before_brings_nothing_back(deps: Deps) -> None:
    """It is prepared before, and committed in the middle of the erasure: it fails."""
    for number in range(3, 6):
        deps.lake.fold(to_table([*of(USER, 100 * number), *of("33", 100 * number + 50)]), Fold(number + 1, []))
    late = DeltaTable(deps.lake.uri)  # type: ignore[attr-defined]
    outcome = []

    def compact(what: str, done: int, of: int) -> None:
        if what == "models" and not outcome:
            try:
                outcome.append(late.optimize.compact())
            except Exception as error:
                outcome.append(error)

    assert forget(USER, deps, 0, compact).left == {}
    assert "Metadata changed" in str(outcome[0])


def test_a_lake_whose_log_has_statistics_of_users_loses_them(deps: Deps, tmp_path: Path) -> None:
    """Lakes made by earlier versions have; their checkpoints go, and every version reads on."""
    folder = deps.objects.folder / keys.LAKE  # type: ignore[attr-defined]
    DeltaTable.create(tmp_path / "old", LAKE_SCHEMA, partition_by=["kind", "date"])
    folder.rename(tmp_path / "new")
    (tmp_path / "old").rename(folder)
    lake = DeltaLake(str(folder), {})
    for number in range(3):
        lake.fold(
            to_table([row("watch", number, USER, movie_id="m"), row("watch", 10 + number, "33")]), Fold(number + 1, [])
        )
    lake.compact()
    report = forget(USER, deps, 0)
    assert (report.left, report.erased["rows of kind watch in the lake"]) == ({}, 6)
    assert report.erased["statistics in the log of the lake"] >= 4
    again = DeltaLake(str(folder), {})
    assert again.read("watch", ["offset"])["offset"].to_pylist() == [10, 11, 12]
    assert again.read("watch", ["offset"], 2)["offset"].to_pylist() == [10, 11]


def test_what_is_left_is_said_and_exits_1(deps: Deps, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object that mentions the user where nobody erases, and one that cannot be searched."""
    deps.objects.put("reports/odd.json", b'{"users": ["3"]}')
    deps.objects.put("odd", b"\xff 3")
    done = invoke(deps, monkeypatch, USER, "--yes", "--json")
    assert done.exit_code == 1
    left = json.loads(done.stdout)["left"]
    assert left.pop("reports/odd.json") == "mentions the user"
    assert "cannot be searched" in left.pop("odd")
    assert left == {}


def invoke(deps: Deps, monkeypatch: pytest.MonkeyPatch, *arguments: str, answer: str = ""):  # type: ignore[no-untyped-def]
    quick = deps.settings.model_copy(update={"channel_poll_seconds": -0.5})
    monkeypatch.setattr(bootstrap, "build", lambda *_: fakes.replace(deps, settings=quick))
    return CliRunner().invoke(app, ["forget", *arguments], input=answer)


def test_a_person_is_asked_first(deps: Deps, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a yes nothing happens; with one it does, and is shown."""
    refused = invoke(deps, monkeypatch, USER, answer="n\n").exception
    assert isinstance(refused, BadInput)
    assert str(refused) == "nothing was erased"
    assert forgotten.listed(deps.objects) == []
    done = invoke(deps, monkeypatch, USER, answer="y\n")
    assert done.exit_code == 0
    assert "Nothing of the user is in any" in done.stdout.replace("\n", " ")
    assert "rows of kind rating in the lake" in done.stdout


@pytest.mark.parametrize("user", ["0", "-1", "007", "1e9", "abc", "٣", "9" * 19])
def test_what_is_no_user_id_is_refused(deps: Deps, monkeypatch: pytest.MonkeyPatch, user: str) -> None:
    """Before anything is asked or done."""
    done = invoke(deps, monkeypatch, "--yes", "--", user)
    assert isinstance(done.exception, BadInput)
    assert forgotten.listed(deps.objects) == []


def test_an_empty_report_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Zero is a result."""
    forget_command.show(Report(is_new=False, n_searched=5), as_json=False)
    assert "There was nothing to erase" in capsys.readouterr().out

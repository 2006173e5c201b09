"""Models and stages registered by real GTO in a real bare repository, whatever fails on the way."""

import subprocess
import threading
from pathlib import Path

import pytest

from functions.train.engine import DEFAULTS, Order, Parameters
from infra.provenance import registrar, tools
from infra.provenance.git import git, text
from infra.provenance.project import Place
from infra.provenance.registry import Registry, cloned
from shared import keys
from shared.artifacts import ArtifactStore, Manifest
from shared.channels import Channels
from shared.errors import Conflict, NotReady
from shared.rollout import Change, Release, State
from tests.fakes import MemoryStore

pytestmark = pytest.mark.slow

PLACE = Place("marquee", "http://127.0.0.1:1")


@pytest.fixture
def bucket() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def repository(tmp_path: Path) -> str:
    git("init", "--quiet", "--bare", "--initial-branch", "main", str(tmp_path / "bare.git"), cwd=tmp_path)
    return str(tmp_path / "bare.git")


def train(
    bucket: MemoryStore, model: str, hour: int, algorithm: str = "svd", parameters: Parameters | None = None
) -> None:
    """Store a model as `train` does, made at an hour of a day."""
    order = Order(algorithm, parameters or DEFAULTS[algorithm], seed=0, n_threads=2)  # type: ignore[arg-type, index]
    manifest = Manifest(
        kind="model",
        id=model,
        created_at=f"2026-11-25T{hour:02d}:00:00+00:00",
        lake_version=hour,
        parameters=order.as_dict(),
        revision=6,
    )
    ArtifactStore(bucket).put(keys.model(algorithm, model), {"factors.npz": model.encode()}, manifest)


def go_live(bucket: MemoryStore, model: str, what: str = "promoted", about: str = "") -> None:
    """Write what `rollout` writes when a model of SVD gets all users, or gets them back."""

    def change(before: dict[str, object]) -> dict[str, object]:
        state = State.model_validate({"service": "score-svd", **before})
        number = state.number + 1
        news = Change(
            number=number,
            at=number,
            what=what,
            model_version=about or model,
            percent=100,
            who="rollout",
            why="users",  # type: ignore[arg-type]
        )
        stable = Release(model_version=model, revision="r", lake_version=1)
        return state.with_change(news, stable=stable).model_dump(mode="json")

    Channels(bucket).update("score-svd", change)  # type: ignore[arg-type]


def run(bucket: MemoryStore, repository: str) -> list[str]:
    """Run the registrar once; it finds no fault."""
    report = registrar.run(bucket, repository, PLACE)
    assert report.trouble == []
    return sorted(report.tags)


def references(repository: str) -> str:
    return text("for-each-ref", cwd=Path(repository))


def model_at(repository: str, tag: str, algorithm: str = "svd") -> str:
    return Manifest.model_validate_json(git("show", f"{tag}:models/{algorithm}/manifest.json", cwd=Path(repository))).id


def test_models_get_versions_by_what_changed_and_each_once(bucket: MemoryStore, repository: str) -> None:
    """Newer data a patch, other parameters a minor, each algorithm its own; a second run finds nothing to do."""
    train(bucket, "aa", 1)
    train(bucket, "bb", 2)
    train(bucket, "cc", 3, parameters=Parameters(n_factors=9, n_epochs=9, lr=0.1, reg=0.1))
    train(bucket, "dd", 1, algorithm="svdpp")
    assert run(bucket, repository) == ["svd@v1.0.0", "svd@v1.0.1", "svd@v1.1.0", "svdpp@v1.0.0"]
    assert [model_at(repository, f"svd@v{each}") for each in ("1.0.0", "1.0.1", "1.1.0")] == ["aa", "bb", "cc"]
    before = references(repository)
    assert run(bucket, repository) == []
    train(bucket, "ee", 4, parameters=Parameters(n_factors=9, n_epochs=9, lr=0.1, reg=0.1))
    assert run(bucket, repository) == ["svd@v1.1.1"]
    assert before.splitlines()[1:] == [line for line in references(repository).splitlines()[1:] if "v1.1.1" not in line]


def test_the_stage_follows_who_is_live_and_goes_back(bucket: MemoryStore, repository: str, tmp_path: Path) -> None:
    """Promoted, promoted, rolled back: GTO says of each moment which version was live; no tag is ever moved."""
    train(bucket, "aa", 1)
    train(bucket, "bb", 2)
    go_live(bucket, "aa")
    assert run(bucket, repository) == ["svd#prod#1", "svd@v1.0.0", "svd@v1.0.1"]
    assert model_at(repository, "svd#prod#1") == "aa"
    go_live(bucket, "bb")
    assert run(bucket, repository) == ["svd#prod#2"]
    go_live(bucket, "aa", "rolled_back", about="bb")
    assert run(bucket, repository) == ["svd#prod#3"]
    assert model_at(repository, "svd#prod#3") == "aa"
    assert run(bucket, repository) == []
    assert "rolled back by rollout: users" in text("tag", "-n", "--list", "svd#prod#3", cwd=Path(repository))


def test_gto_says_who_is_live_after_many_moves_at_once(bucket: MemoryStore, repository: str, tmp_path: Path) -> None:
    """A registrar that comes late tags every move in order, within a second, and GTO takes the last for the last."""
    for number, model in enumerate(["aa", "bb"]):
        train(bucket, model, number)
    for number in range(11):
        go_live(bucket, ["aa", "bb"][number % 2])
    run(bucket, repository)
    assert model_at(repository, "svd#prod#11") == "aa"
    with cloned(repository, registrar.BRANCH) as registry:
        assert tools.run("gto", "show", "svd#prod", "--version", cwd=registry.folder).split() == ["v1.0.0"]


def test_a_server_that_refuses_one_tag_takes_none(bucket: MemoryStore, repository: str) -> None:
    """Neither the branch nor any other tag is seen; the next run, once it is allowed, does all of it."""
    hook = Path(repository) / "hooks/update"
    hook.write_text('#!/bin/sh\ncase "$1" in refs/tags/svdpp*) exit 1;; esac\n')
    hook.chmod(0o755)
    train(bucket, "aa", 1)
    train(bucket, "dd", 2, algorithm="svdpp")
    with pytest.raises(Conflict):
        run(bucket, repository)
    assert references(repository) == ""
    hook.unlink()
    assert run(bucket, repository) == ["svd@v1.0.0", "svdpp@v1.0.0"]


def test_a_repository_that_is_away_leaves_nothing(bucket: MemoryStore, repository: str, tmp_path: Path) -> None:
    """Away at the beginning, or between tag and push: said, nothing half-registered, completed by the next run."""
    train(bucket, "aa", 1)
    away = tmp_path / "away.git"
    Path(repository).rename(away)
    with pytest.raises(NotReady):
        run(bucket, repository)
    away.rename(repository)
    publish = Registry.publish

    def goes_away(registry: Registry, to: str, branch: str | None) -> None:
        Path(repository).rename(away)
        publish(registry, to, branch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Registry, "publish", goes_away)
        with pytest.raises(NotReady):
            run(bucket, repository)
    away.rename(repository)
    assert references(repository) == ""
    assert run(bucket, repository) == ["svd@v1.0.0"]


@pytest.mark.parametrize("n_answers", range(6))
def test_a_bucket_that_goes_away_leaves_nothing(repository: str, n_answers: int) -> None:
    """After any number of answers: nothing is seen of what was committed until then."""

    class Failing(MemoryStore):
        left = 10**9

        def _answer(self) -> None:
            self.left -= 1
            if self.left < 0:
                raise NotReady("the store is down")

    bucket = Failing()
    train(bucket, "aa", 1)
    train(bucket, "bb", 2)
    go_live(bucket, "aa")
    bucket.left = n_answers
    with pytest.raises(NotReady):
        run(bucket, repository)
    assert references(repository) == ""


def test_two_that_race_register_each_model_once(bucket: MemoryStore, repository: str) -> None:
    """One is overtaken between its tags and its push: it is refused, looks again, and adds only what is missing."""
    train(bucket, "aa", 1)
    go_live(bucket, "aa")
    publish, overtaken = Registry.publish, threading.Event()

    def late(registry: Registry, to: str, branch: str | None) -> None:
        if not overtaken.is_set():
            overtaken.set()
            assert run(bucket, repository) == ["svd#prod#1", "svd@v1.0.0"]
            train(bucket, "bb", 2)
        publish(registry, to, branch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Registry, "publish", late)
        assert run(bucket, repository) == ["svd@v1.0.1"]
    tags = text("tag", cwd=Path(repository)).split()
    assert tags == ["svd#prod#1", "svd@v1.0.0", "svd@v1.0.1"]
    assert text("rev-list", "--count", registrar.BRANCH, cwd=Path(repository)) == "2"


def test_many_at_once_register_each_model_once(bucket: MemoryStore, repository: str) -> None:
    """Four registrars, five models: five versions, five commits, and nobody fails.

    Two that make the very same at once are both told that it was taken.
    """
    for hour in range(5):
        train(bucket, f"m{hour}", hour)
    done: list[list[str]] = []
    several = [threading.Thread(target=lambda: done.append(run(bucket, repository))) for _ in range(4)]
    for each in several:
        each.start()
    for each in several:
        each.join()
    assert len(done) == 4
    versions = [f"svd@v1.0.{number}" for number in range(5)]
    assert {tag for tags in done for tag in tags} == set(versions)
    assert text("tag", "--list", "svd@*", cwd=Path(repository)).split() == versions
    assert text("rev-list", "--count", registrar.BRANCH, cwd=Path(repository)) == "5"


def test_other_branches_and_tags_of_the_repository_stay(bucket: MemoryStore, repository: str, tmp_path: Path) -> None:
    """It may be the repository of the code: its history is no part of the registry's."""
    code = tmp_path / "code"
    git("clone", "--quiet", repository, str(code), cwd=tmp_path)
    (code / "README").write_text("code\n")
    git("add", ".", cwd=code)
    git("commit", "--quiet", "-m", "code", cwd=code)
    git("tag", "v2.0.0", cwd=code)
    git("push", "--quiet", "origin", "HEAD:main", "v2.0.0", cwd=code)
    before = references(repository)
    train(bucket, "aa", 1)
    assert run(bucket, repository) == ["svd@v1.0.0"]
    assert set(before.splitlines()) < set(references(repository).splitlines())
    assert "README" not in text("ls-tree", "--name-only", "svd@v1.0.0", cwd=Path(repository))
    fsck = subprocess.run(["git", "fsck", "--strict"], cwd=repository, capture_output=True, text=True)
    assert fsck.returncode == 0, fsck.stderr

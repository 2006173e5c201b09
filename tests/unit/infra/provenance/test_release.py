"""Models of a build registered in a real bare repository, whatever others do to it meanwhile.

DVC and GTO are played: they are real in tests/integration/test_dvc.py.
"""

from pathlib import Path

import pytest

from functions.train.engine import DEFAULTS, Order
from infra.provenance import release, tools
from infra.provenance.git import git, text
from infra.provenance.registry import Registry
from shared.artifacts import Manifest
from shared.errors import Conflict, NotReady

MODELS = ("svd", "svdpp")


class Tools:
    """DVC, whose remote may be away, and the tags of GTO."""

    away = False

    def run(self, tool, *arguments, cwd, environment=None):
        if tool == "gto":
            _, algorithm, commit, _, version, _, message = arguments
            return text("tag", "--annotate", "--message", message, f"{algorithm}@{version}", commit, cwd=cwd)
        if arguments[0] == "push" and self.away:
            raise NotReady("dvc push: the store is down")
        return "{}"


@pytest.fixture(autouse=True)
def played(monkeypatch):
    found = Tools()
    monkeypatch.setattr(tools, "run", found.run)
    return found


@pytest.fixture
def repository(tmp_path):
    """A bare repository with a commit of code on main."""
    git("init", "--quiet", "--bare", "--initial-branch", "main", str(tmp_path / "bare.git"), cwd=tmp_path)
    first = checkout(str(tmp_path / "bare.git"), tmp_path / "first")
    (first / "source.yaml").write_text("kind: file\n")
    (first / "dvc.lock").write_text("stages: {}\n")
    commit(first, "code")
    return str(tmp_path / "bare.git")


def checkout(repository: str, folder: Path) -> Path:
    git("clone", "--quiet", repository, str(folder), cwd=folder.parent)
    return folder


def commit(folder: Path, message: str) -> None:
    git("add", "--all", cwd=folder)
    git("commit", "--quiet", "--allow-empty", "-m", message, cwd=folder)
    git("push", "--quiet", "origin", "HEAD:main", cwd=folder)


def built(repository: str, folder: Path, model: str) -> Path:
    """Return a checkout in which models were made, a newer one for each letter."""
    checkout(repository, folder)
    for name in MODELS:
        made = folder / "models" / name / "manifest.json"
        made.parent.mkdir(parents=True)
        manifest = Manifest(
            kind="model",
            id=f"{name}-{model}",
            created_at="2026-11-25T12:00:00+00:00",
            parameters=Order(name, DEFAULTS[name], seed=0, n_threads=2).as_dict(),
            revision=6,
        )
        made.write_text(manifest.model_dump_json())
    return folder


def references(repository: str) -> str:
    return text("for-each-ref", cwd=Path(repository))


def test_a_push_during_a_run_changes_nothing_for_it(repository, tmp_path):
    """Models stand upon the commit that made them, not upon a newer one; and nobody's branch is moved."""
    build = built(repository, tmp_path / "build", "a")
    code = text("rev-parse", "HEAD", cwd=build)
    commit(checkout(repository, tmp_path / "other"), "pushed meanwhile")
    main = text("rev-parse", "main", cwd=Path(repository))
    assert release.register(build, repository) == ["svd@v1.0.0", "svdpp@v1.0.0"]
    assert text("rev-parse", "svd@v1.0.0^", cwd=Path(repository)) == code
    assert text("rev-parse", "main", cwd=Path(repository)) == main != code


def test_a_store_that_is_away_registers_nothing(repository, tmp_path, played):
    """A version whose data nobody can have is none: it is said, and the next run registers it."""
    build = built(repository, tmp_path / "build", "a")
    before, played.away = references(repository), True
    with pytest.raises(NotReady, match="the store is down"):
        release.register(build, repository)
    assert references(repository) == before
    assert text("tag", cwd=build) == ""
    played.away = False
    assert release.register(build, repository) == ["svd@v1.0.0", "svdpp@v1.0.0"]


def test_a_repository_that_goes_away_before_the_push_registers_nothing(repository, tmp_path, monkeypatch):
    """Commit and tags were of a clone that is gone: nothing of them is anywhere, and the next run does it all."""
    build, away = built(repository, tmp_path / "build", "a"), tmp_path / "away.git"
    before, publish = references(repository), Registry.publish

    def goes_away(registry, to, branch):
        Path(repository).rename(away)
        publish(registry, to, branch)

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "publish", goes_away)
        with pytest.raises(NotReady, match=r"bare\.git"):
            release.register(build, repository)
    away.rename(repository)
    assert references(repository) == before
    assert text("tag", cwd=build) == ""
    assert release.register(build, repository) == ["svd@v1.0.0", "svdpp@v1.0.0"]


def test_a_server_that_takes_one_tag_of_two_takes_none(repository, tmp_path, monkeypatch):
    """Who asks for the newest version of each algorithm never finds those of half a build."""
    monkeypatch.setattr(release.register.retry, "sleep", lambda _: None)
    hook = Path(repository) / "hooks/update"
    hook.write_text('#!/bin/sh\ncase "$1" in refs/tags/svdpp*) exit 1;; esac\n')
    hook.chmod(0o755)
    before = references(repository)
    with pytest.raises(Conflict, match=r"svdpp@v1\.0\.0"):
        release.register(built(repository, tmp_path / "build", "a"), repository)
    assert references(repository) == before


@pytest.mark.parametrize(("model", "versions"), [("a", []), ("b", ["svd@v1.0.1", "svdpp@v1.0.1"])])
def test_of_two_pipelines_each_registers_its_models(repository, tmp_path, monkeypatch, model, versions):
    """Who is overtaken between tags and push looks again: the same models are there, others get the next versions."""
    first, second = (
        built(repository, tmp_path / "first-build", "a"),
        built(repository, tmp_path / "second-build", model),
    )
    publish, overtaken = Registry.publish, []

    def late(registry, to, branch):
        if not overtaken:
            overtaken.append("once")
            with monkeypatch.context() as patch:
                patch.setenv("GIT_COMMITTER_NAME", "ann")
                assert release.register(first, repository) == ["svd@v1.0.0", "svdpp@v1.0.0"]
        publish(registry, to, branch)

    monkeypatch.setattr(Registry, "publish", late)
    assert release.register(second, repository) == versions
    assert text("tag", cwd=Path(repository)).split() == sorted(["svd@v1.0.0", "svdpp@v1.0.0", *versions])

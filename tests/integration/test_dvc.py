"""What was made here is remembered: by real DVC in the embedded S3 store, and by GTO's tags, for any other checkout."""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cli.stages.gate import live
from infra.local.machine import ROOT, Machine
from infra.local.provision import create_bucket
from infra.local.stack import Stack, running
from infra.provenance import release, tools
from infra.provenance.git import git, text
from infra.provenance.registrar import BRANCH
from infra.provenance.registry import beside
from infra.provenance.versions import Version
from shared import bootstrap
from shared.artifacts import Manifest
from shared.errors import BadInput, NotReady
from tests.integration.test_registrar import go_live, train

pytestmark = [pytest.mark.slow, pytest.mark.long]


class Checkout:
    """A clone of this repository, with the store of a machine as its remote.

    Its stages run the code of this checkout, the same and compiled already, or `by_its_own`.
    """

    def __init__(self, source: Path, folder: Path, store: dict[str, str], *, by_its_own: bool = False) -> None:
        git("clone", "--quiet", str(source), str(folder), cwd=ROOT)
        self.folder = folder
        self.environment = {
            **os.environ,
            **store,
            "PYTHONPATH": str(folder if by_its_own else ROOT),
            "PYTHONSAFEPATH": "1",
        }
        self.dvc("remote", "modify", "--local", "bucket", "endpointurl", store["S3_ENDPOINT"])

    def dvc(self, *arguments: str) -> str:
        return tools.run("dvc", *arguments, cwd=self.folder, environment=self.environment)

    def commit(self, message: str) -> None:
        git("add", "--all", cwd=self.folder)
        git("commit", "--quiet", "--allow-empty", "-m", message, cwd=self.folder)

    def register(self, repository: str) -> list[str]:
        return sorted(release.register(self.folder, repository, self.environment))

    @property
    def lock(self) -> str:
        return (self.folder / "dvc.lock").read_text()

    def files(self) -> dict[str, str]:
        """Return the SHA-256 of everything that the stages made."""
        made = [
            path
            for name in ("data/fetched", "data/matrix", "models", "metrics")
            for path in (self.folder / name).rglob("*")
        ]
        return {str(each.relative_to(self.folder)): sha256(each) for each in made if each.is_file()}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The S3 store of a machine, alone; where it is and its keys."""
    with running(Stack(Machine(tmp_path_factory.mktemp("store"), 24_000)), ["s3"]) as stack:
        yield stack.environment


@pytest.fixture(scope="module")
def first(store: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout whose stages ran, and whose results are in the store."""
    checkout = Checkout(ROOT, tmp_path_factory.mktemp("dvc") / "first", store)
    checkout.dvc("repro", "--force")
    checkout.dvc("push")
    checkout.commit("what was made")
    return checkout


@pytest.fixture
def repository(first: Checkout, tmp_path: Path) -> str:
    """A bare repository with the code of the first checkout."""
    git("clone", "--quiet", "--bare", "--no-tags", str(first.folder), str(tmp_path / "bare.git"), cwd=tmp_path)
    return str(tmp_path / "bare.git")


def decided_anywhere(lock: str) -> dict[str, object]:
    """Return what a lock says that is the same on every kind of processor, which the sums of a fit are not."""
    stages = yaml.safe_load(lock)["stages"]
    given = {name: [stage["cmd"], stage.get("params")] for name, stage in stages.items()}
    read = {
        (name, each["path"]): each["md5"]
        for name, stage in stages.items()
        for each in stage["deps"]
        if not each["path"].startswith("models/")
    }
    return {"given": given, "read": read, "made": [stages[name]["outs"] for name in ("fetch", "build_matrix")]}


def test_the_lock_of_this_repository_is_of_this_code(first: Checkout) -> None:
    """All stages, run again here, read what dvc.lock says, and make the same matrix; else `make retrain` is due."""
    assert decided_anywhere(first.lock) == decided_anywhere((ROOT / "dvc.lock").read_text())


def test_another_checkout_gets_and_makes_the_same(first: Checkout, store: dict[str, str], tmp_path: Path) -> None:
    """Pulled: every file, by its bytes, and nothing to do for `repro`. Made anew: the same hashes."""
    second = Checkout(first.folder, tmp_path / "second", store, by_its_own=True)
    assert not (second.folder / "models/svd/factors.npz").exists()
    second.dvc("pull")
    assert second.files() == first.files()
    assert "up to date" in second.dvc("repro")
    second.dvc("repro", "--force")
    assert (second.lock, second.files()) == (first.lock, first.files())
    assert text("status", "--porcelain", cwd=second.folder) == ""


def test_no_secret_is_in_the_checkout(first: Checkout, store: dict[str, str]) -> None:
    """Keys of the store are in the environment alone, and where it is stands in a file that git does not see."""
    secret, endpoint = store["AWS_SECRET_ACCESS_KEY"], store["S3_ENDPOINT"]
    configured = "".join(path.read_text() for path in (first.folder / ".dvc").glob("config*"))
    assert secret not in configured
    assert endpoint in configured
    assert endpoint not in (first.folder / ".dvc/config").read_text()
    assert ".dvc/config.local" not in text("ls-files", ".dvc", cwd=first.folder)


def test_models_are_registered_with_all_that_made_them(first: Checkout, repository: str, tmp_path: Path) -> None:
    """A tag leads to code, lock, metrics and manifest, and by DVC to the model; no branch moves; it is done once."""
    heads = text("for-each-ref", "refs/heads", cwd=Path(repository))
    assert first.register(repository) == ["svd@v1.0.0", "svdpp@v1.0.0"]
    assert first.register(repository) == []
    assert text("for-each-ref", "refs/heads", cwd=Path(repository)) == heads
    tree = text("ls-tree", "-r", "--name-only", "svd@v1.0.0", cwd=Path(repository)).splitlines()
    assert {"dvc.lock", "source.yaml", "metrics/svd.json", "models/svd/manifest.json", "functions/train/core.py"} <= {
        *tree
    }
    endpoint = f"endpointurl={first.environment['S3_ENDPOINT']}"
    wanted = ("artifacts", "get", repository, "svd", "--rev", "v1.0.0", "--out", "factors.npz")
    tools.run("dvc", *wanted, "--remote-config", endpoint, cwd=tmp_path, environment=first.environment)
    story = Manifest.model_validate_json((first.folder / "models/svd/manifest.json").read_text())
    assert sha256(tmp_path / "factors.npz") == story.files["factors.npz"].sha256


def test_other_parameters_are_a_minor_version_of_that_model_alone(
    first: Checkout, store: dict[str, str], repository: str, tmp_path: Path
) -> None:
    """What changed decides, and code that is not committed is not registered."""
    first.register(repository)
    second = Checkout(first.folder, tmp_path / "second", store)
    second.dvc("pull")
    params = second.folder / "params.yaml"
    params.write_text(params.read_text().replace("n_epochs: 20", "n_epochs: 2"))
    with pytest.raises(BadInput, match=r"params\.yaml"):
        second.register(repository)
    second.commit("fewer passes")
    with pytest.raises(BadInput, match="make retrain"):
        second.register(repository)
    second.dvc("repro")
    assert second.register(repository) == ["svd@v1.1.0"]
    put_into_stage(repository, "v1.0.0", first)
    refused = gate(second, repository)
    assert (refused.returncode, "svd: refused" in refused.stderr, "worse than" in refused.stderr) == (1, True, True)
    assert gate(first, repository).returncode == 0
    assert live("svd", repository, first.environment) is not None
    assert live("svdpp", repository, first.environment) is None


def test_a_gate_that_cannot_have_the_live_model_accepts_nothing(first: Checkout, repository: str) -> None:
    """A store that is away is no reason to let a model through: exit code 2."""
    first.register(repository)
    put_into_stage(repository, "v1.0.0", first)
    nowhere = {**first.environment, "S3_ENDPOINT": "http://127.0.0.1:1"}
    with pytest.raises(NotReady):
        live("svd", repository, nowhere)


def gate(checkout: Checkout, repository: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli.stages", "gate"]
    told = {**checkout.environment, "PROVENANCE_REPOSITORY": repository}
    return subprocess.run(command, cwd=checkout.folder, env=told, capture_output=True, text=True)


def put_into_stage(repository: str, version: str, checkout: Checkout) -> None:
    with beside(checkout.folder, repository) as registry:
        found = Version.parse(version)
        assert found
        registry.assign("svd", found, "by hand")
        registry.publish(repository, None)


@pytest.mark.parametrize("place", ["registrar.committed", "registrar.tagged", "registrar.pushed"])
def test_a_registrar_killed_anywhere_registers_all_or_nothing(
    store: dict[str, str], tmp_path: Path, place: str
) -> None:
    """The real command, on the real store: what a dead one left is completed by the next, and DVC finds the model."""
    name = f"registrar-{place.partition('.')[2]}"
    told = {**os.environ, **store, "BUCKET": name, "MARQUEE_FAILPOINTS": str(tmp_path)}
    create_bucket(told)
    objects = bootstrap.build("test", told, writes=False).objects
    train(objects, "aa", 1)
    train(objects, "bb", 2)
    go_live(objects, "bb")
    git("init", "--quiet", "--bare", "--initial-branch", BRANCH, str(tmp_path / "bare.git"), cwd=tmp_path)
    repository = str(tmp_path / "bare.git")
    command = [sys.executable, "-m", "infra.provenance", "registrar", "--repository", repository]
    (tmp_path / place).touch()
    assert subprocess.run(command, cwd=ROOT, env=told, capture_output=True).returncode == -signal.SIGKILL
    tags = text("tag", cwd=tmp_path / "bare.git").split()
    assert tags == (["svd#prod#1", "svd@v1.0.0", "svd@v1.0.1"] if place == "registrar.pushed" else [])
    done = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert text("tag", cwd=tmp_path / "bare.git").split() == ["svd#prod#1", "svd@v1.0.0", "svd@v1.0.1"]
    tools.run(
        "dvc", "artifacts", "get", repository, "svd", "--stage", "prod", "-o", "model", cwd=tmp_path, environment=told
    )
    assert (tmp_path / "model").read_bytes() == b"bb"

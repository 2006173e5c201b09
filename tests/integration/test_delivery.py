"""The Jenkinsfile executed, and a registry that images are pushed to and pulled from."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.ci import registry
from infra.local.machine import ROOT
from shared.errors import Corrupt

pytestmark = pytest.mark.slow


@pytest.mark.skipif(
    shutil.which("npm") is None, reason="npm is not installed; `make jenkins-test` installs it, or says how"
)
def test_every_path_of_the_jenkinsfile_goes_as_it_should() -> None:
    """It is linted, and executed from the first stage to the last word to Slack."""
    command = ["make", "--old-file=.venv/installed", "jenkins-test"]
    told = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    done = subprocess.run(command, cwd=ROOT, env=told, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


@pytest.fixture
def push(tmp_path: Path) -> Callable[[str], str]:
    """Pushes an image of one file to a registry, and returns its digest."""
    if shutil.which("go") is None or shutil.which("buildah") is None or os.geteuid() != 0:
        pytest.skip("a registry needs Go, and buildah root")

    def buildah(*arguments: str | Path) -> str:
        kept = ("--root", tmp_path / "root", "--runroot", tmp_path / "run", "--storage-driver", "vfs")
        return subprocess.run(["buildah", *kept, *arguments], check=True, capture_output=True, text=True).stdout.strip()

    def pushed(destination: str) -> str:
        container, file, digest = buildah("from", "scratch"), tmp_path / "file", tmp_path / "digest"
        file.write_bytes(os.urandom(2**20))
        buildah("add", container, file)
        buildah("commit", container, "marquee")
        buildah("push", "--tls-verify=false", "--digestfile", digest, "marquee", f"docker://{destination}")
        return digest.read_text()

    return pushed


@pytest.mark.long
def test_what_is_pushed_is_pulled_by_its_digest(tmp_path: Path, push: Callable[[str], str]) -> None:
    """To the last byte, and not if the registry holds another."""
    with registry.running(tmp_path) as address:
        digest = push(f"{address}/marquee/score:1")
        assert registry.pull(f"{address}/marquee/score@{digest}") > 2**20 // 2
        largest = max((tmp_path / "registry").rglob("data"), key=lambda path: path.stat().st_size)
        largest.write_bytes(largest.read_bytes()[:-1] + b"!")
        with pytest.raises(Corrupt, match="sha256"):
            registry.pull(f"{address}/marquee/score@{digest}")

"""The image of `score`, built and run as a node would: as nobody in particular, with nothing to write to but /tmp."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.images.__main__ import LIST
from infra.images.archive import SBOM, Archive
from infra.images.facts import read
from infra.local.machine import ROOT
from tests.cluster.container import running

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(shutil.which("buildah") is None or os.geteuid() != 0, reason="needs buildah, and to be root"),
]

LARGEST_BYTES = 250e6
TOLD = {"BUCKET": "b", "S3_ENDPOINT": "http://127.0.0.1:1", "KAFKA_BOOTSTRAP": "127.0.0.1:1"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a build."""
    out = tmp_path_factory.mktemp("images")
    command = [sys.executable, "-m", "infra.images", "build", "score", "--engine", "buildah", "--out", str(out)]
    subprocess.run(command, cwd=ROOT, check=True)
    return out


@pytest.fixture(scope="module")
def image(built: Path) -> Archive:
    """Return the image."""
    return Archive.open(built / "score.tar")


def test_a_model_server_is_small(built: Path) -> None:
    """Beyond the base, which a node has once; by what images.json says."""
    listed = json.loads((built / LIST).read_text())["score"]
    assert listed["unpacked"] < LARGEST_BYTES
    assert listed["digest"] == Archive.open(built / listed["tar"]).digest


def test_an_image_says_what_it_is(image: Archive) -> None:
    """Where it comes from, by labels; what it holds, by a bill of materials."""
    known = read(ROOT)
    labels = image.config["config"]["Labels"]
    assert labels["org.opencontainers.image.revision"] == known.commit
    assert labels["org.opencontainers.image.version"] == known.version
    assert f"GIT_COMMIT={known.commit}" in image.config["config"]["Env"]
    listed = {each["name"]: each["version"] for each in json.loads(image.file(SBOM))["components"]}
    assert {"deltalake", "numpy", "functions-framework"} <= listed.keys()
    assert not {"pip", "pyarrow", "numba"} & listed.keys()


def test_a_container_runs_as_nobody_and_ends_when_told(image: Archive) -> None:
    """Its first process has no rights and no folder but /tmp, answers, and leaves on SIGTERM."""
    with running("dev.local/marquee/score:dev", image.config["config"], TOLD) as container:
        container.seconds_until("/health/liveness", 200)
        assert container.status("/health/readiness") == 503
        assert container.status("/metrics") == 200
        told = Path(f"/proc/{container.pid}/status").read_text()
        assert "\nUid:\t65532\t65532\t65532\t65532\n" in told
        assert "\nCapEff:\t0000000000000000\n" in told
        os.kill(container.pid, signal.SIGTERM)
        assert container.process.wait(timeout=30) in (0, 128 + signal.SIGTERM)

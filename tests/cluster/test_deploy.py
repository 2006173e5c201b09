"""New code of the models, from the digests of its images to a watched end: `python -m infra.deploy`."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from cli.drill.stage import Stage
from functions.rollout.core import order
from infra.cluster.shell import ctr
from infra.cluster.site import Site
from infra.deploy.release import SCORES
from infra.local.machine import ROOT
from shared import rollout
from shared.rollout import Change, State
from tests.cluster.users import LIST, direct, n_ready, visited
from tests.integration.conftest import wait

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

OLD, NEW, MISSING = (f"dev.local/marquee/score:{tag}" for tag in ("dev", "next", "missing"))
SECONDS = 400


@pytest.fixture(scope="module")
def overlay(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the local overlay with the settings that the site runs with."""
    folder = tmp_path_factory.mktemp("overlay")
    settings = site.get("configmap", "marquee-settings")["data"]
    name = {"name": "marquee-settings", "namespace": "marquee"}
    patch = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": name, "data": settings}
    base = os.path.relpath(ROOT / "knative/overlays/local", folder.resolve())
    files = {"kustomization.yaml": {"resources": [base], "patches": [{"path": "patch.yaml"}]}, "patch.yaml": patch}
    for file, content in files.items():
        (folder / file).write_text(yaml.safe_dump(content))
    return folder


@pytest.fixture
def deploy(site: Site, stage: Stage, overlay: Path, tmp_path: Path) -> Callable[[str], "subprocess.Popen[str]"]:
    """Deploys an image of `score` as a job of Jenkins would."""

    def start(image: str) -> "subprocess.Popen[str]":
        images = tmp_path / "images.json"
        images.write_text(json.dumps({"score": image}))
        cluster = {
            "KUBECONFIG": str(site.cluster.kubeconfig),
            "PATH": f"{site.cluster.kubernetes}:{os.environ['PATH']}",
        }
        why = ("--why", f"try {image}", "--who", "ann", "--minutes", str(SECONDS / 60))
        command = [sys.executable, "-m", "infra.deploy", str(images), "--overlay", str(overlay), *why]
        environment = os.environ | stage.environment | cluster
        return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)

    return start


def states(stage: Stage) -> list[State]:
    return [rollout.read(name, stage.deps.channels.get(name)) for name in SCORES]


def since(stage: Stage, before: list[State]) -> list[Change]:
    """Return what changed in both services."""
    return [
        change
        for state, was in zip(states(stage), before, strict=True)
        for change in state.log
        if change.number > was.number
    ]


def test_code_that_never_starts_gets_nobody(
    site: Site, stage: Stage, deploy: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    """It is reported with its reason, and the exit code is that of a failure."""
    before = states(stage)
    with visited(site, 5) as got:
        done = deploy(MISSING)
        said = done.communicate(timeout=SECONDS)[1]
    assert done.returncode == 1, said
    assert "not all is live" in said
    assert got.keys() == {LIST}
    changes = since(stage, before)
    assert {change.what for change in changes} == {"deploying", "rolled_back"}
    assert {change.percent for change in changes} == {0}
    for name, state, was in zip(SCORES, states(stage), before, strict=True):
        assert state.stable == was.stable
        assert state.stable
        assert set(direct(site, name, 20)) == {state.stable.revision}


def test_code_that_a_person_promotes_is_live(
    site: Site, stage: Stage, deploy: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    """It gets users of its own first; once all are its, the command ends well, and says what happened."""
    ctr(site.cluster, "images", "tag", "--force", OLD, NEW)
    before = states(stage)
    with visited(site, 5) as got:
        done = deploy(NEW)
        wait(lambda: all(state.name == "canary" for state in states(stage)), SECONDS, "two canaries with users")
        now = stage.deps.now_us()
        for name in SCORES:
            rollout.update(stage.deps.channels, name, lambda state: order(state, "promote", "ann", "it does", now))
        said = done.communicate(timeout=SECONDS)[1]
    assert done.returncode == 0, said
    assert "all is live" in said
    assert got.keys() == {LIST}
    for name, state, was in zip(SCORES, states(stage), before, strict=True):
        assert state.stable
        assert was.stable
        assert (state.stable.image, state.stable.model_version) == (NEW, was.stable.model_version)
        wait(lambda name=name, new=state.stable.revision: set(direct(site, name, 20)) == {new}, 60, "all on new code")
        assert n_ready(site, "revision", state.stable.revision) == 2

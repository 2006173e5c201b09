import os

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from infra.cluster.__main__ import app
from infra.local.machine import ROOT

COMMANDS = list(get_command(app).commands)


@pytest.fixture(autouse=True)
def _no_cluster(tmp_path, monkeypatch):
    monkeypatch.setenv("MARQUEE_CLUSTER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_helps(command):
    """--help says what it does."""
    done = CliRunner().invoke(app, [command, "--help"])
    assert done.exit_code == 0
    assert command in done.output


def test_every_command_is_documented():
    """A command that nobody can read about does not exist."""
    said = (ROOT / "docs/decisions/0015-the-cluster-is-built-from-go-modules.md").read_text()
    assert [name for name in COMMANDS if f"`{name}`" not in said] == []


def test_what_is_not_built_yet_is_named():
    """Who has no quarter of an hour can ask before, by the exit code."""
    done = CliRunner().invoke(app, ["built"])
    assert done.exit_code == 1
    assert "to be built yet: Kubernetes" in done.output


def test_status_of_nothing_is_1():
    """Down is not well, for people and for machines."""
    done = CliRunner().invoke(app, ["status"])
    assert (done.exit_code, done.output) == (1, "the cluster is down\n")


@pytest.mark.parametrize("command", [["build"], ["built"], ["up"], ["down"], ["env"], ["status"]])
def test_only_root_runs_a_node(command, monkeypatch):
    """Others are told so before anything is tried."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "needs root" in str(CliRunner().invoke(app, command).exception)


def test_what_needs_the_cluster_says_how_to_start_it(monkeypatch, tmp_path):
    """A cluster that is down gives no exports and takes no images; a file that is not there is named first."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    archive = tmp_path / "image.tar"
    assert f"no such file: {archive}" in str(CliRunner().invoke(app, ["load", str(archive)]).exception)
    archive.touch()
    for command in (["env"], ["load", str(archive)]):
        assert "python -m infra.cluster up" in str(CliRunner().invoke(app, command).exception)

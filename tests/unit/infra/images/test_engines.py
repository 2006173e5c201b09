import pytest

from infra.images import engines
from shared.errors import BadInput


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a folder that holds all commands that there are, and what makes one."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def command(name: str, script: str) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    return command


def test_docker_is_chosen_if_its_engine_answers(machine, tmp_path):
    """A client alone builds nothing."""
    machine("docker", "exit 0")
    assert isinstance(engines.engine("auto", tmp_path / "log"), engines.Docker)


def test_buildah_is_chosen_where_no_engine_answers(machine, tmp_path, monkeypatch):
    """As root."""
    for name, script in {"docker": "exit 1", "buildah": "exit 0", "debootstrap": "exit 0"}.items():
        machine(name, script)
    monkeypatch.setattr(engines.os, "geteuid", lambda: 0)
    assert isinstance(engines.engine("auto", tmp_path / "log"), engines.Buildah)
    monkeypatch.setattr(engines.os, "geteuid", lambda: 1000)
    with pytest.raises(BadInput, match="root"):
        engines.engine("buildah", tmp_path / "log")


def test_a_machine_with_neither_is_told_what_to_install(machine, tmp_path):
    """By name."""
    with pytest.raises(BadInput, match=r"apt-get install .*buildah debootstrap"):
        engines.engine("auto", tmp_path / "log")
    with pytest.raises(BadInput, match="docker info"):
        engines.engine("docker", tmp_path / "log")


def test_a_command_that_fails_shows_its_last_words(machine, tmp_path):
    """And where all of them are."""
    machine("fails", "echo no room >&2; exit 3")
    with pytest.raises(BadInput, match=r"status 3.*log:\n(?s:.*)no room"):
        engines.run(["fails", "now"], tmp_path / "log")

import shlex
from configparser import RawConfigParser
from dataclasses import replace
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault

import pytest

from infra.local.machine import Machine
from infra.local.parts import parts
from infra.local.supervisord import Supervisord
from shared.errors import NotReady

OWNED = {"score-svd-1", "score-svd-2", "score-svd-3"}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.config.mkdir()
    return machine


def adjusted(machine: Machine, monkeypatch: pytest.MonkeyPatch, **states: str) -> list[str]:
    """Return what the supervisor is asked for, to bring it from these processes to those of a new machine."""
    asked: list[str] = []

    def ask(_: Supervisord, method: str, *arguments: Any) -> Any:
        if method != "getAllProcessInfo":
            asked.append(" ".join([method, *map(str, arguments)]))
        return [
            {"name": name.replace("_", "-"), "statename": state.split()[0], "start": 0 if state.endswith("new") else 1}
            for name, state in states.items()
        ]

    monkeypatch.setattr(Supervisord, "ask", ask)
    Supervisord(machine).adjust(parts(machine), OWNED)
    return asked


def test_missing_processes_are_added_and_started(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a configuration that is written anew; of the other parts of the machine none is touched."""
    asked = adjusted(machine, monkeypatch, score_svd_1="RUNNING", ingest="STOPPED")
    assert asked == ["reloadConfig", "addProcessGroup score-svd-2", "startProcess score-svd-2 False"]
    conf = RawConfigParser()
    conf.read(machine.config / "supervisord.conf")
    assert "score" in shlex.split(conf["program:score-svd-2"]["command"])[2]


def test_processes_too_many_are_stopped_and_then_removed(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for it meanwhile."""
    there = {"score_svd_1": "RUNNING", "score_svd_2": "RUNNING"}
    assert adjusted(machine, monkeypatch, **there, score_svd_3="RUNNING") == ["stopProcess score-svd-3 False"]
    assert adjusted(machine, monkeypatch, **there, score_svd_3="STOPPING") == []
    assert adjusted(machine, monkeypatch, **there, score_svd_3="STOPPED") == ["removeProcessGroup score-svd-3"]


def test_what_a_person_stopped_stays_stopped(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What never started is started: whoever added it may have died before."""
    asked = adjusted(machine, monkeypatch, score_svd_1="STOPPED", score_svd_2="STOPPED new")
    assert asked == ["startProcess score-svd-2 False"]


@pytest.mark.parametrize("error", [Fault(10, "BAD_NAME"), FileNotFoundError("no socket")])
def test_a_supervisor_that_refuses_or_is_away_is_not_ready(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """It is asked again later."""

    def ask(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(Supervisord, "ask", ask)
    with pytest.raises(NotReady):
        Supervisord(machine).states()


def test_two_machines_have_two_sockets(machine: Machine) -> None:
    """Whatever the length of their folders' names."""
    other = replace(machine, home=Path("/" + "x" * 200))
    assert Supervisord(machine).socket != Supervisord(other).socket
    assert len(str(Supervisord(other).socket)) < 107

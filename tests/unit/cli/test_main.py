import signal
import subprocess
import sys

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from cli.main import app
from infra.local.machine import ROOT

COMMANDS = list(get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_helps(command):
    """--help says what it does."""
    done = CliRunner().invoke(app, [command, "--help"])
    assert done.exit_code == 0
    assert command in done.output


def test_every_command_is_in_the_readme():
    """A command that nobody can read about does not exist."""
    readme = (ROOT / "README.md").read_text()
    assert [name for name in COMMANDS if f"marquee {name}" not in readme] == []


def test_a_failure_is_one_message_and_status_2(tmp_path):
    """No traceback; the brackets of a file's name are not taken for markup."""
    command = [sys.executable, "-m", "cli.main", "train", "--ratings", "[no] file.csv", "--model", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "error: [no] file.csv" in done.stderr
    assert "Traceback" not in done.stderr


def test_logs_of_nothing_say_what_to_do(tmp_path, monkeypatch):
    """Before the first start there are none, and a process that is none is named."""
    monkeypatch.setenv("MARQUEE_HOME", str(tmp_path))
    assert "marquee up" in str(CliRunner().invoke(app, ["logs"]).exception)
    assert "no process 'nobody'" in str(CliRunner().invoke(app, ["logs", "nobody"]).exception)


def test_status_of_nothing_is_1(tmp_path, monkeypatch):
    """Down is not healthy, for people and for machines."""
    monkeypatch.setenv("MARQUEE_HOME", str(tmp_path))
    for arguments in (["status"], ["status", "--json"]):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 1
        assert "stopped" in done.output


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGHUP])
def test_who_is_asked_to_end_stops_what_it_started(asked):
    """As by Ctrl-C: a drill that a job cancels leaves nothing running."""
    program = """
import sys, time
from cli import main
@main.app.command()
def nap():
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        print("stopped", flush=True)
sys.argv = ["marquee", "nap"]
main.run()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "begun\n"
        process.send_signal(asked)
        assert process.stdout.read() == "stopped\n"
        assert process.wait(30) == 130

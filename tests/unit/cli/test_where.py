import os
import socket

import pytest

from cli.where import environment
from infra.local.machine import PORTS, Machine
from infra.local.ports import is_taken
from infra.local.provision import make_signing_key
from infra.local.stack import Stack
from shared.errors import BadInput, NotReady


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MARQUEE_HOME", str(tmp_path))
    return tmp_path


def test_the_key_of_a_machine_is_for_its_own_bucket(home, monkeypatch):
    """Who works on another bucket from here neither signs for it nor doubts its models."""
    make_signing_key(Machine(home))
    assert environment()["SIGNING_KEY_FILE"] == str(home / "config/signing.pem")
    monkeypatch.setenv("S3_ENDPOINT", "http://elsewhere:9000")
    assert "SIGNING_KEY_FILE" not in environment()
    monkeypatch.setenv("SIGNING_KEY_FILE", "/theirs.pem")
    assert environment()["SIGNING_KEY_FILE"] == "/theirs.pem"


def test_orders_are_not_given_to_anothers_machine(home, monkeypatch):
    """Who has forgotten which machine is theirs learns who holds the ports; who names a bucket means it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("MARQUEE_PORT_OFFSET", str(port - PORTS["s3"]))
        with pytest.raises(BadInput, match=rf"port {port}, for Marquee in {home}, .*process {os.getpid()}"):
            environment()
        monkeypatch.setenv("S3_ENDPOINT", f"http://127.0.0.1:{port}")
        assert environment()["S3_ENDPOINT"].endswith(str(port))


@pytest.mark.parametrize(
    ("needed", "said"), [((), "s3 of"), (("KAFKA_BOOTSTRAP",), "kafka of"), (("S3_ENDPOINT", "KAFKA_BOOTSTRAP"), "s3")]
)
def test_a_machine_that_is_down_is_said_to_be_by_every_command_at_once(needed, said, monkeypatch):
    """Before anything is tried, with which store it is; one that is named elsewhere is left to who asks it."""
    monkeypatch.setattr("cli.where.is_taken", is_taken)
    with pytest.raises(NotReady, match=rf"nobody answers at .*{said}.*"):
        environment(*needed)
    monkeypatch.setenv("S3_ENDPOINT", "http://elsewhere:9000")
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "elsewhere:9092")
    assert environment(*needed)["KAFKA_BOOTSTRAP"] == "elsewhere:9092"


def test_commands_go_by_the_settings_that_the_machine_was_started_with(home, monkeypatch):
    """Unless their own shell says otherwise, the machine is down, or another bucket is meant; no password is kept."""
    given = {"SCORE_SVD_WEIGHT": "100", "KAFKA_PASSWORD": "secret", "EDITOR": "vi"}
    machine = Machine(home)
    machine.config.mkdir()
    Stack(machine, given).note_settings()
    assert "SCORE_SVD_WEIGHT" not in environment()
    monkeypatch.setattr(Stack, "is_up", property(lambda _: True))
    assert environment()["SCORE_SVD_WEIGHT"] == "100"
    assert not {"KAFKA_PASSWORD", "EDITOR"} & Stack(machine).started_with.keys()
    monkeypatch.setenv("SCORE_SVD_WEIGHT", "30")
    assert environment()["SCORE_SVD_WEIGHT"] == "30"
    monkeypatch.delenv("SCORE_SVD_WEIGHT")
    monkeypatch.setenv("S3_ENDPOINT", "http://elsewhere:9000")
    assert "SCORE_SVD_WEIGHT" not in environment()


def test_a_machine_that_noted_nothing_or_nonsense(home, monkeypatch):
    """One that was started before there were notes has none; damage is said, with what helps."""
    monkeypatch.setattr(Stack, "is_up", property(lambda _: True))
    assert environment()["BUCKET"] == "marquee"
    (home / "config").mkdir()
    (home / "config/settings.json").write_text('["damaged"]')
    with pytest.raises(BadInput, match=r"settings\.json is damaged; `marquee down` and `marquee up`"):
        environment()

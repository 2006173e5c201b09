import os
import socket
from pathlib import Path

import pytest
import yaml

from infra.images.facts import read
from infra.local.machine import PORTS, ROOT, Machine
from infra.local.parts import parts
from infra.local.provision import make_signing_key
from infra.local.router import Router, Target, first_traffic
from infra.local.stack import Stack
from shared.bootstrap import signatures
from shared.errors import BadInput, BadSettings, NotReady
from shared.settings import Settings

OFFSET = 44_000
"""Where nobody's Envoy answers."""


def test_no_two_parts_share_a_port():
    """Each port has one owner; some are kept for the processes of revisions that are not there yet."""
    named = [name for part in parts(Machine(Path("/x"))) for name in part.ports]
    kept = [f"{service}-{number}" for service in ("score-svd", "score-svdpp") for number in range(3, 7)]
    assert sorted(named + kept) == sorted(PORTS)
    assert len(set(PORTS.values())) == len(PORTS)


def test_the_offset_moves_every_port(tmp_path):
    """Two machines with different offsets do not meet."""
    here, there = Machine(tmp_path), Machine(tmp_path, 1000)
    assert all(there.port(name) == here.port(name) + 1000 for name in PORTS)
    assert "10092" in there.environment["KAFKA_BOOTSTRAP"]


def test_a_new_machine_has_a_key_of_its_own_and_an_old_one_goes_on_as_it_is(tmp_path):
    """Models that nobody signed are there already, and would be refused; a key that is there stays."""
    new, old = Machine(tmp_path / "new"), Machine(tmp_path / "old")
    old.data.mkdir(parents=True)
    for machine in (new, old, new):
        make_signing_key(machine)
    told = new.environment
    signer, *verifiers = signatures(Settings.from_env(told))
    for verifier in verifiers:
        verifier.check(b"said", signer.sign(b"said"))
    assert new.signing_key.stat().st_mode & 0o077 == 0
    assert "SIGNING_KEY_FILE" not in old.environment
    first = new.signing_key.read_text()
    make_signing_key(new)
    assert new.signing_key.read_text() == first


def test_what_is_made_here_says_by_which_code():
    """As what images make."""
    assert Stack(Machine(Path("/x"))).environment["GIT_COMMIT"] == read(ROOT).commit


@pytest.mark.parametrize("offset", ["-1", "x", "60000", "1.5", "\u0661"])
def test_an_offset_that_cannot_be_is_refused(offset):
    """With its name and its value."""
    with pytest.raises(BadSettings, match="MARQUEE_PORT_OFFSET"):
        Machine.from_env({"MARQUEE_PORT_OFFSET": offset})


def test_the_home_is_where_the_environment_says(tmp_path):
    """Or in the checkout."""
    assert Machine.from_env({"MARQUEE_HOME": str(tmp_path)}).home == tmp_path
    assert Machine.from_env({}).home.name == ".marquee"


def test_weights_are_written_for_envoy(tmp_path):
    """Two revisions with their shares, each a cluster of its own processes."""
    router = Router(Machine(tmp_path, OFFSET))
    router.write({"score-svd": [Target("score-svd-00001", 90, [1, 2]), Target("score-svd-00002", 10, [3], "canary")]})
    (routes,) = yaml.safe_load((router.folder / "routes-score-svd.yaml").read_text())["resources"]
    everybody, *tagged = routes["virtual_hosts"]
    route = everybody["routes"][0]["route"]
    weights = {each["name"]: each["weight"] for each in route["weighted_clusters"]["clusters"]}
    assert weights == {"score-svd-00001": 90, "score-svd-00002": 10}
    assert {host["domains"][0]: host["routes"][0]["route"]["cluster"] for host in tagged} == {
        "stable-score-svd": "score-svd-00001",
        "canary-score-svd": "score-svd-00002",
    }
    clusters = yaml.safe_load((router.folder / "clusters.yaml").read_text())["resources"]
    assert [len(each["load_assignment"]["endpoints"][0]["lb_endpoints"]) for each in clusters] == [2, 1]


def test_what_is_in_use_stays_known_for_one_more_change(tmp_path):
    """A listener never names a revision that Envoy has forgotten; what nobody has named since is dropped."""
    router = Router(Machine(tmp_path, OFFSET))
    known = []
    for number in range(3):
        router.write({"score-svd": [Target(f"r{number}", 100, [number + 1])]})
        clusters = yaml.safe_load((router.folder / "clusters.yaml").read_text())["resources"]
        known.append([each["name"] for each in clusters])
    assert known == [["r0"], ["r0", "r1"], ["r1", "r2"]]


@pytest.mark.parametrize("shares", [[90], [50, 49], [120, -20]])
def test_shares_that_are_not_a_whole_are_refused(tmp_path, shares):
    """Traffic that adds up to anything but 100 percent is a mistake, and the old files stay."""
    router = Router(Machine(tmp_path, OFFSET))
    with pytest.raises(BadSettings, match="100"):
        router.write({"recommend": [Target(f"r{n}", share, [1], f"t{n}") for n, share in enumerate(shares)]})
    assert not router.folder.exists()


@pytest.mark.parametrize("tags", [["stable", "stable"], ["stable", "a_b"], ["stable", ""], ["stable", "*"]])
def test_tags_that_cannot_name_a_target_are_refused(tmp_path, tags):
    """A tag is part of a host's name, and names one target of its service."""
    router = Router(Machine(tmp_path, OFFSET))
    with pytest.raises(BadSettings, match="tags"):
        router.write({"recommend": [Target(f"r{n}", 50, [1], tag) for n, tag in enumerate(tags)]})
    assert not router.folder.exists()


def test_the_first_traffic_is_all_on_the_first_revision(tmp_path):
    """Two processes for each model."""
    traffic = first_traffic(Machine(tmp_path))
    assert {service: [target.percent for target in targets] for service, targets in traffic.items()} == {
        "recommend": [100],
        "score-svd": [100],
        "score-svdpp": [100],
    }
    assert [len(traffic[service][0].ports) for service in ("score-svd", "score-svdpp")] == [2, 2]


def test_a_taken_port_is_named_with_its_holder(tmp_path):
    """Before anything is started the message says which port, for what, and who has it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        machine = Machine(tmp_path, server.getsockname()[1] - PORTS["ingest"])
        with pytest.raises(BadInput, match=rf"port {server.getsockname()[1]}, for ingest, .*process {os.getpid()}"):
            Stack(machine).start(["ingest"])
    assert not machine.config.exists()


def test_a_start_notes_its_settings(tmp_path, monkeypatch):
    """Before anything runs, so that no command finds the machine up and does not know them."""

    def nothing_starts(*_):
        raise NotReady("nothing starts here")

    monkeypatch.setattr("infra.local.provision.write_config", lambda machine: machine.config.mkdir(parents=True))
    monkeypatch.setattr("infra.local.supervisord.Supervisord.start", nothing_starts)
    stack = Stack(Machine(tmp_path, OFFSET), {"MIN_NEW_RATINGS": "7"})
    with pytest.raises(NotReady):
        stack.start(["ingest"])
    assert stack.started_with["MIN_NEW_RATINGS"] == "7"

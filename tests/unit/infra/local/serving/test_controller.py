from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from infra.local.machine import Machine
from infra.local.parts import parts
from infra.local.serving import controller as controlling
from infra.local.serving.__main__ import application
from infra.local.serving.controller import Controller
from infra.local.serving.state import load
from shared.errors import BadInput, NotReady

OFFSET = 44_000
"""Where nobody's Envoy or function answers."""

API = "/apis/serving.knative.dev/v1/namespaces/default"
PATCH = {"content-type": "application/merge-patch+json"}
FIRST, NEXT = "score-svd-00001", "score-svd-b"


class World:
    """A supervisor, an Envoy, and processes that are ready at once; what was done is told in its order."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.running: set[str] = set()
        self.told: list[str] = []
        self.envoy_takes_it = True

    def states(self) -> dict[str, str]:
        return dict.fromkeys(self.running, "RUNNING")

    def adjust(self, wanted: Any, owned: set[str]) -> None:
        names = {part.name for part in wanted} & owned
        if names != self.running:
            self.told.append(f"run {sorted(each for each in names if 'svdpp' not in each)}")
        self.running = names

    def write(self, traffic: Mapping[str, Any]) -> None:
        if not self.envoy_takes_it:
            raise NotReady("Envoy does not take it")
        kept = [share.revision for share in load(self.machine)["score-svd"].routed]
        self.told.append(f"route {[target.revision for target in traffic['score-svd']]}, kept are {kept}")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path, OFFSET)
    machine.data.mkdir()
    return machine


@pytest.fixture
def world(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(machine)
    monkeypatch.setattr(controlling, "Supervisord", lambda _: world)
    monkeypatch.setattr(controlling, "Router", lambda _: world)
    monkeypatch.setattr(Controller, "_probe", lambda *_: (True, ""))
    return world


def patch(revision: str = NEXT, **metadata: str) -> dict[str, Any]:
    env = [{"name": "ALGORITHM", "value": "svd"}, {"name": "MODEL_VERSION", "value": "b"}]
    template = {"metadata": {"name": revision}, "spec": {"containers": [{"image": "score", "env": env}]}}
    traffic = [{"revisionName": revision, "tag": "stable", "percent": 100}]
    return {"metadata": metadata, "spec": {"template": template, "traffic": traffic}}


def reconcile(controller: Controller, times: int) -> None:
    for _ in range(times):
        controller.reconcile()


# Towards what is wanted


def test_envoy_is_told_before_the_file_says_so_and_processes_stop_after(machine: Machine, world: World) -> None:
    """Whenever the power fails, a revision that has traffic has processes."""
    now = [0.0]
    controller = Controller(machine, lambda: now[0])
    reconcile(controller, 2)
    controller.change("score-svd", patch())
    for _ in range(8):
        controller.reconcile()
        now[0] += 2
    assert world.told == [
        f"route ['{FIRST}'], kept are ['{FIRST}']",
        "run ['score-svd-1', 'score-svd-2']",
        "run ['score-svd-1', 'score-svd-2', 'score-svd-3', 'score-svd-4']",
        f"route ['{NEXT}'], kept are ['{FIRST}']",
        "run ['score-svd-3', 'score-svd-4']",
    ]
    assert [each.name for each in load(machine)["score-svd"].revisions] == [NEXT]


def test_while_envoy_does_not_take_it_the_traffic_is_what_it_was(machine: Machine, world: World) -> None:
    """And the next attempt finds everything as before."""
    controller = Controller(machine)
    reconcile(controller, 2)
    controller.change("score-svd", patch())
    controller.reconcile()
    world.envoy_takes_it = False
    with pytest.raises(NotReady):
        controller.reconcile()
    assert [share.revision for share in controller.service("score-svd").routed] == [FIRST]
    world.envoy_takes_it = True
    controller.reconcile()
    assert [share.revision for share in controller.service("score-svd").routed] == [NEXT]


def test_a_ready_revision_is_looked_at_again_but_not_all_the_time(
    machine: Machine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a second at most; when its processes are dead its condition says so, and its traffic stays."""
    now = [100.0]
    controller = Controller(machine, lambda: now[0])
    reconcile(controller, 2)
    looks: list[float] = []

    def dead(*_: object) -> tuple[bool, str]:
        looks.append(now[0])
        return False, "no answer"

    monkeypatch.setattr(Controller, "_probe", dead)
    for _ in range(12):
        now[0] += 0.25
        controller.reconcile()
    assert set(looks) == {101.0, 102.0, 103.0}
    now[0] += 5
    controller.reconcile()
    found = controller.revision(FIRST)
    assert (found.ready, found.reason) == (None, "it does not answer: no answer")
    assert [share.revision for share in controller.service("score-svd").routed] == [FIRST]


def test_who_starts_anew_begins_with_what_was_kept(machine: Machine, world: World) -> None:
    """Envoy may have been told something that was never kept: it is told again what was."""
    Controller(machine).change("score-svd", patch())
    again = Controller(machine)
    assert [share.revision for share in again.service("score-svd").wanted] == [NEXT]
    again.reconcile()
    assert world.told[0] == f"route ['{FIRST}'], kept are ['{FIRST}']"


def test_the_parts_of_a_machine_are_those_that_its_file_names(machine: Machine, world: World) -> None:
    """Each process is told its revision and its model, so that the machine starts as it stopped."""
    controller = Controller(machine)
    controller.change("score-svd", patch())
    controller.reconcile()
    told = {part.name: part.environment for part in parts(machine) if part.name.startswith("score-svd-")}
    first = {"K_REVISION": FIRST, "ALGORITHM": "svd"}
    pinned = {"K_REVISION": NEXT, "ALGORITHM": "svd", "MODEL_VERSION": "b"}
    assert told == {"score-svd-1": first, "score-svd-2": first, "score-svd-3": pinned, "score-svd-4": pinned}


def test_a_damaged_file_is_named(machine: Machine) -> None:
    """Nothing is guessed from it, and nothing is started."""
    (machine.data / "serving.json").write_text('{"score-svd": {}}')
    with pytest.raises(BadInput, match=r"serving\.json is damaged"):
        Controller(machine)
    with pytest.raises(BadInput, match=r"serving\.json is damaged"):
        parts(machine)


# The API


@pytest.fixture
def http(machine: Machine) -> TestClient:
    return TestClient(application(Controller(machine)))


def test_a_patch_is_answered_with_what_it_made_and_kept(http: TestClient, machine: Machine) -> None:
    """The version is the next, and the revision can be asked for."""
    before = http.get(f"{API}/services/score-svd").json()
    version = before["metadata"]["resourceVersion"]
    after = http.patch(f"{API}/services/score-svd", json=patch(resourceVersion=version), headers=PATCH)
    assert after.status_code == 200
    assert after.json() == http.get(f"{API}/services/score-svd").json()
    assert after.json()["metadata"] == {**before["metadata"], "generation": 2, "resourceVersion": "2"}
    assert load(machine)["score-svd"].version == 2
    assert http.get(f"{API}/revisions/{NEXT}").json()["metadata"]["name"] == NEXT
    assert (
        http.patch(f"{API}/services/score-svd", json=patch(resourceVersion=version), headers=PATCH).status_code == 409
    )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (b"[" * 100_000, 400),
        (b'{"a":' * 900 + b"1" + b"}" * 900, 200),
        (b" " * (2**20 + 1), 400),
        (b'{"metadata": {"name": "other"}}', 400),
        (b'{"metadata": {"resourceVersion": "0"}}', 409),
        (b'{"spec": {"traffic": []}}', 422),
        (b'{"spec": {"traffic": [{"percent": 1e999}]}}', 422),
        (b'{"spec": null}', 422),
    ],
)
def test_a_bad_patch_is_refused_as_kubernetes_does(http: TestClient, body: bytes, code: int) -> None:
    """A Status with a message, and the Service is as it was; what is not of the spec has no effect."""
    before = http.get(f"{API}/services/score-svd").json()
    answer = http.patch(f"{API}/services/score-svd", content=body, headers=PATCH)
    assert answer.status_code == code
    if code != 200:
        assert answer.json().keys() == {"kind", "apiVersion", "status", "message", "reason", "code"}
        assert answer.json()["code"] == code
    assert http.get(f"{API}/services/score-svd").json() == before


def test_other_ways_of_patching_are_refused(http: TestClient) -> None:
    """Kubernetes knows more of them."""
    answer = http.patch(f"{API}/services/score-svd", content=b"[]", headers={"content-type": "application/json"})
    assert answer.json()["code"] == answer.status_code == 415


@pytest.mark.parametrize("path", ["services/other", "revisions/other", "services/score-svd/status", "services"])
def test_what_is_not_there_is_a_status_too(http: TestClient, path: str) -> None:
    """404, in the form of Kubernetes."""
    answer = http.get(f"{API}/{path}")
    assert answer.json()["code"] == answer.status_code == 404
    assert http.delete(f"{API}/services/score-svd").json()["code"] == 405
    assert http.get("/health/readiness").status_code == 200

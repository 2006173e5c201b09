"""Revisions of real processes behind a real Envoy, deployed by the adapter that deploys them on Knative."""

import asyncio
import json
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest

from cli.ratings import read_ratings
from functions.build_matrix import core as building
from functions.build_matrix import gather
from functions.train import core as training
from infra.local.machine import ROOT, Machine
from infra.local.stack import Stack, running
from shared import bootstrap, keys
from shared.errors import Conflict
from shared.ports import Deployed, Made, Revisions, Share
from shared.settings import Settings
from tests.integration.conftest import wait

pytestmark = pytest.mark.slow

SERVICE, RATE = "score-svd", 50
PARTS = ("s3", "envoy", "score-svd-1", "score-svd-2", "serving")
PORT_OFFSET = 12_500


@dataclass
class Load:
    """Users who ask at a steady pace over connections that stay open, and which revision answered, or what failed."""

    url: str
    user: str
    answers: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    async def run(self) -> None:
        started, number = time.monotonic(), 0
        async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
            while not self._stop.is_set():
                group.create_task(self._ask(http))
                number += 1
                await asyncio.sleep(max(0.0, started + number / RATE - time.monotonic()))

    async def _ask(self, http: aiohttp.ClientSession) -> None:
        try:
            async with http.get(f"{self.url}/top/{self.user}", timeout=aiohttp.ClientTimeout(5)) as answer:
                if answer.status == 200:
                    self.answers.append((await answer.json())["revision"])
                else:
                    self.failures.append(f"{answer.status} {await answer.text()}")
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failures.append(repr(error))

    def newest(self) -> set[str]:
        """Return the revisions that answered the last second's requests."""
        return set(self.answers[-RATE:])


@dataclass
class Serving:
    """One machine with a service, its revisions and their models."""

    stack: Stack
    revisions: Revisions
    user: str

    def deployed(self) -> Deployed:
        return self.revisions.deployed(SERVICE)

    def deploy(self, revision: str, model: str, *shares: Share) -> None:
        self.revisions.deploy(SERVICE, Made(revision, model), shares, self.deployed().version)

    def shift(self, *shares: Share) -> None:
        self.revisions.shift(SERVICE, shares, self.deployed().version)

    def does(self, *shares: Share) -> bool:
        return set(self.deployed().shares) == set(shares)

    def processes(self) -> set[str]:
        return {each.name for each in self.stack.status() if each.name.startswith(f"{SERVICE}-") and each.pid}

    def asked_by(self, tag: str) -> tuple[str, str]:
        """Return the model and the revision behind a tag."""
        request = urllib.request.Request(f"{self.stack.machine.url(SERVICE)}/top/{self.user}")
        request.add_header("Host", f"{tag}-{SERVICE}")
        with urllib.request.urlopen(request, timeout=5) as answer:
            found = json.load(answer)
        return found["model"], found["revision"]

    @contextmanager
    def asked(self) -> Iterator[Load]:
        """Ask all the while; claim that no request failed."""
        load = Load(self.stack.machine.url(SERVICE), self.user)
        thread = threading.Thread(target=lambda: asyncio.run(load.run()))
        thread.start()
        try:
            yield load
        finally:
            load._stop.set()
            thread.join()
        assert load.failures == []
        assert len(load.answers) > RATE


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    machine = Machine(tmp_path_factory.mktemp("serving"), PORT_OFFSET)
    with running(Stack(machine, {"CHANNEL_POLL_SECONDS": "0.2"}), PARTS) as stack:
        users = store_models(bootstrap.build("test", stack.environment), ["a", "b", "c"])
        serving = Serving(stack, bootstrap.revisions(Settings.from_env(stack.environment), {}), users[0])
        wait(lambda: serving.deployed().ready == {f"{SERVICE}-00001": True}, 60, "first revision")
        yield serving


def store_models(deps: bootstrap.Deps, versions: Sequence[str]) -> list[str]:
    """Store models of a few ratings, the first of them in the channel; return their users."""
    ratings = read_ratings(ROOT / "data/movielens-small/ratings.csv.gz").slice(0, 10_000)
    split, files = building.files(gather.ratings(ratings.to_batches()), 0.1)
    prefix = keys.matrix(split.matrix_id)
    deps.artifacts.put(prefix, files, deps.manifest(kind="matrix", id=split.matrix_id, lake_version=0))
    for seed, version in enumerate(versions):
        model = training.fit(split.train, "svd", training.DEFAULTS["svd"], seed=seed)
        manifest = deps.manifest(kind="model", id=version, made_from=prefix)
        deps.artifacts.put(keys.model("svd", version), model.to_files(), manifest)
    state = {"model_version": versions[0], "matrix_id": split.matrix_id}
    deps.channels.update(keys.score_service("svd"), lambda _: state)
    return split.train.users


def name(model: str) -> str:
    return f"{SERVICE}-{model}"


FIRST = f"{SERVICE}-00001"


def test_a_canary_becomes_stable_and_no_request_fails(serving: Serving) -> None:
    """From 0 % to 100 %, then the old one goes, while 50 users a second ask over connections that stay open."""
    before, after = Share(FIRST, "stable", 100), Share(name("b"), "stable", 100)
    canary = [Share(FIRST, "stable", 100), Share(name("b"), "canary", 0)]
    half = [Share(FIRST, "stable", 50), Share(name("b"), "canary", 50)]
    with serving.asked() as load:
        assert serving.does(before)
        serving.deploy(name("b"), "b", *canary)
        wait(lambda: serving.does(*canary), 60, "a revision that is ready")
        assert serving.deployed().ready == {FIRST: True, name("b"): True}
        assert serving.asked_by("canary") == ("svd@b", name("b"))
        assert serving.asked_by("stable") == ("svd@a", FIRST)
        assert set(load.answers) == {FIRST}
        serving.shift(*half)
        wait(lambda: serving.does(*half) and load.newest() == {FIRST, name("b")}, 15, "half of the traffic")
        time.sleep(4)
        counts = Counter(load.answers[-3 * RATE :])
        assert 0.3 < counts[name("b")] / counts.total() < 0.7
        serving.shift(after)
        wait(lambda: serving.does(after) and load.newest() == {name("b")}, 15, "all of the traffic")
        wait(lambda: serving.processes() == {"score-svd-3", "score-svd-4"}, 40, "processes that are gone")
        time.sleep(2)
    assert serving.deployed().ready == {name("b"): True}


@pytest.mark.long
def test_a_model_that_is_not_there_never_gets_traffic(serving: Serving) -> None:
    """Its revision fails with the reason, and goes when traffic no longer names it; the others do not notice."""
    (stable,) = serving.deployed().shares
    with serving.asked() as load:
        serving.deploy(name("none"), "none", stable._replace(percent=50), Share(name("none"), "canary", 50))
        wait(lambda: serving.deployed().ready[name("none")] is False, 90, "a revision that failed")
        assert "none" in serving.deployed().reasons[name("none")]
        assert serving.does(stable)
        assert set(load.answers) == {stable.revision}
        serving.shift(stable)
        wait(lambda: len(serving.processes()) == 2, 40, "processes that are gone")


def test_killed_at_any_moment_it_goes_on(serving: Serving) -> None:
    """`kill -9` after each word to it: what was wanted comes all the same, and no request fails."""
    (stable,) = serving.deployed().shares
    steps = [
        [stable, Share(name("c"), "canary", 0)],
        [stable._replace(percent=75), Share(name("c"), "canary", 25)],
        [Share(name("c"), "stable", 100)],
    ]
    with serving.asked() as load:
        for number, shares in enumerate(steps):
            serving.deploy(name("c"), "c", *shares)
            for _ in range(3):
                time.sleep(0.2 * number)
                serving.stack.kill("serving")
                serving.stack.wait_healthy("serving")
            wait(lambda shares=shares: serving.does(*shares), 60, f"{shares}")  # type: ignore[misc]
        wait(lambda: load.newest() == {name("c")}, 15, "all of the traffic")
        wait(lambda: len(serving.processes()) == 2, 40, "processes that are gone")


def test_of_two_who_write_at_once_one_is_told(serving: Serving) -> None:
    """Both saw the same; one of them wins, the other gets Conflict and changes nothing."""
    (stable,) = serving.deployed().shares
    version = serving.deployed().version
    lost: list[str] = []

    def write(tag: str) -> None:
        try:
            serving.revisions.shift(SERVICE, [stable._replace(tag=tag)], version)
        except Conflict:
            lost.append(tag)

    tags = [f"writer{number}" for number in range(2)]
    threads = [threading.Thread(target=write, args=[tag]) for tag in tags]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lost) == 1
    (winner,) = set(tags) - set(lost)
    wait(lambda: serving.does(stable._replace(tag=winner)), 15, "the winner's traffic")
    serving.shift(stable)
    wait(lambda: serving.does(stable), 15, "the traffic before")


def test_a_machine_that_stops_comes_back_as_it_was(serving: Serving) -> None:
    """Revisions, models and shares are those that it had."""
    (stable,) = serving.deployed().shares
    shares = [stable._replace(percent=90), Share(name("a"), "canary", 10)]
    serving.deploy(name("a"), "a", *shares)
    wait(lambda: serving.does(*shares), 60, "a canary")
    asked = {tag: serving.asked_by(tag) for tag in ("stable", "canary")}
    serving.stack.stop()
    serving.stack.start({*PARTS, *(part for part in serving.stack.parts if part.startswith(f"{SERVICE}-"))})
    assert serving.does(*shares)

    def answers() -> bool:
        try:
            return {tag: serving.asked_by(tag) for tag in ("stable", "canary")} == asked
        except OSError:
            return False

    wait(answers, 60, "the same revisions")

"""What releases must bear, on the whole machine and with a crowd before it."""

import itertools
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import NoError

from cli.drill.stage import SERVICE, SETTINGS, OneMachine, Stage, crowd
from cli.simulator.planted import shuffled
from infra.local.machine import Machine
from infra.local.stack import Stack, running
from shared import bootstrap, keys
from shared.errors import MarqueeError
from shared.events import ALGORITHMS, RolloutChanged, decode
from shared.ports import Share
from shared.records import SCHEMA
from tests.integration.conftest import again_and_again, wait
from tests.integration.test_loop import artifacts, n_logged

pytestmark = pytest.mark.long

PORT_OFFSET = 17_500
PAST_RATINGS = 40_000
SESSION_SECONDS = 12  # Kafka waits 10 for a source that may come back before it lets anybody move its group
GOOD, BAD = "planted-good", "planted-bad"
ENDS = {GOOD: "promoted", BAD: "rolled_back"}
TWINS = ("rollout", "evaluate_online")
TICK = {
    "content-type": "application/json",
    "ce-specversion": "1.0",
    "ce-id": "twin",
    "ce-source": "tests",
    "ce-type": "dev.knative.sources.ping",
}
PLACES = [
    *(f"rollout.after_{step}" for step in ("accept", "judge", "state", "converge", "note", "publish", "announce")),
    *(f"evaluate_online.after_{step}" for step in ("decision", "publish", "report")),
]


@dataclass
class Killer:
    """Whoever comes to a place dies there, then again some seconds later; `deaths` counts them."""

    folder: Path
    deaths: Counter[str] = field(default_factory=Counter)
    _set: set[str] = field(default_factory=set)

    def set(self, place: str) -> None:
        """Wait for somebody at a place."""
        if place in self._set and (self.folder / place).exists():
            return
        self.deaths[place] += place in self._set
        self._set.add(place)
        (self.folder / place).touch()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Kill all the while, and leave everybody alone after."""
        for place in PLACES:
            self.set(place)
        places = itertools.cycle(PLACES)
        try:
            with again_and_again(lambda: self.set(next(places)), 6.0):
                yield
        finally:
            for place in PLACES:
                self.deaths[place] += not (self.folder / place).exists()
                (self.folder / place).unlink(missing_ok=True)


@pytest.fixture(scope="module")
def killer(tmp_path_factory: pytest.TempPathFactory) -> Killer:
    return Killer(tmp_path_factory.mktemp("failpoints"))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, killer: Killer) -> Iterator[Stage]:
    """A machine whose models went live and which learns nothing new."""
    extra = SETTINGS | {"MIN_NEW_RATINGS": str(PAST_RATINGS - 1), "MARQUEE_FAILPOINTS": str(killer.folder)}
    with running(Stack(Machine(tmp_path_factory.mktemp("releases"), PORT_OFFSET), extra)) as stack:
        stage = Stage(OneMachine(stack), crowd(seed=3), 40.0, {"first": PAST_RATINGS})
        stage.archive("first")
        stage.wait(stage.all_live, "two live models", 150)
        yield stage


@contextmanager
def second_copy(stage: Stage, function: str, port: int) -> Iterator[None]:
    """Run another process of a function, which nobody kills, and tick it."""
    part = stage.ground.stack.parts[function]
    *command, _ = part.command
    environment = stage.environment | part.environment
    del environment["MARQUEE_FAILPOINTS"]
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", b"{}", TICK)
    with (stage.ground.stack.machine.logs / f"{function}-twin.log").open("w") as log:
        process = subprocess.Popen([*command, str(port)], env=environment, stdout=log, stderr=log)

    def tick() -> None:
        with suppress(OSError), urllib.request.urlopen(request, timeout=60):
            pass

    try:
        with again_and_again(tick, 2.0):
            yield
    finally:
        process.terminate()
        process.wait(30)


def last(stage: Stage) -> tuple[str, str]:
    """Return what happened last, and to which model."""
    change = stage.state.log[-1]
    return change.what, change.model_version


def test_killed_at_every_step_and_run_twice_each_step_happens_once(stage: Stage, killer: Killer) -> None:
    """A good model and a bad one have their trial while whoever judges and moves dies everywhere, and has a twin."""
    before, revisions = stage.state, bootstrap.revisions(stage.deps.settings, stage.environment)
    seen: list[Sequence[Share]] = []

    def look() -> None:
        with suppress(MarqueeError):
            seen.append(revisions.deployed(SERVICE).shares)

    models = {GOOD: stage.stable_model(), BAD: shuffled(stage.stable_model(), 11)}
    with stage.crowds.playing(), ExitStack() as meanwhile:
        for port, function in enumerate(TWINS, PORT_OFFSET + 8170):
            meanwhile.enter_context(second_copy(stage, function, port))
        meanwhile.enter_context(again_and_again(look, 0.2))
        for model, end in ENDS.items():
            with killer.at_work():
                stage.release(model, models[model])
                stage.wait(lambda model=model, end=end: last(stage) == (end, model), f"{model} {end}", 240)  # type: ignore[misc]
        meanwhile.close()
    assert {place: killer.deaths[place] for place in PLACES if not killer.deaths[place]} == {}
    assert set(stage.crowds.played.asked.statuses) == {200}
    assert stage.crowds.played.visits == stage.crowds.played.lists > 3_000

    changes = stage.changes_since(before.number)
    steps = [(change.what, change.model_version) for change in changes]
    assert steps == [(what, model) for model, end in ENDS.items() for what in ("deploying", "canary", end)]
    assert [change.number for change in changes] == list(range(before.number + 1, stage.state.number + 1))
    stored = stage.deps.objects.keys("decisions/")
    assert [change.what for change in changes if change.evidence in stored] == list(ENDS.values())

    assert {sum(share.percent for share in shares) for shares in seen} == {100}
    assert {share.tag for shares in seen for share in shares if BAD in share.revision} == {"canary"}

    wait(lambda: stage.state.announced == stage.state.number, 30, "last news")
    news = {event for event in told(stage) if event.service == SERVICE and event.number > before.number}
    facts = [(change.number, change.what, change.model_version, change.percent, change.why) for change in changes]
    assert sorted(astuple(event)[1:] for event in news) == facts


def test_a_day_that_kafka_delivers_again_changes_nothing(stage: Stage) -> None:
    """Every topic from its first record on: no row twice, nothing is built, trained, tried or decided again."""
    wait(lambda: n_logged(stage) == stage.crowds.played.lines, 60, "row of the last line")
    wait(lambda: is_settled(stage), 60, "end of the first delivery")
    wait(lambda: all(state["routed_at"] for state in states(stage)), 30, "users where they shall be")
    before = everything(stage)
    stage.ground.stack.stop_part("event-source")
    time.sleep(SESSION_SECONDS)
    go_back(stage)
    assert not is_settled(stage)
    stage.ground.stack.start_part("event-source")
    wait(lambda: is_settled(stage), 900, "end of the second delivery")
    assert everything(stage) == before


def everything(stage: Stage) -> dict[str, Any]:
    """Return what there is: the rows, artifacts, decisions, and where the models stand."""
    columns = [name for name in SCHEMA.names if name != "ingested_at"]
    order = [(name, "ascending") for name in ("topic", "partition", "offset")]
    lake, objects = stage.deps.lake, stage.deps.objects
    return {
        "rows": {kind: lake.read(kind, columns).sort_by(order).to_pylist() for kind in lake.counts()},
        "artifacts": [artifacts(stage, kind) for kind in ("matrices/", "models/", "reports/")],
        "decisions": objects.keys("decisions/"),
        "states": states(stage),
    }


def states(stage: Stage) -> list[Mapping[str, Any]]:
    """Return where the models of both services stand."""
    return [stage.deps.channels.get(keys.score_service(algorithm)) for algorithm in ALGORITHMS]


def is_settled(stage: Stage) -> bool:
    """Say whether every record of every topic was delivered, and every landed row folded."""
    with kafka(stage) as (admin, consumer):
        offsets = admin.list_group_offsets(groups(admin))
        delivered = {place: found.offset for places in offsets.values() for place, found in places.items()}
        return delivered == consumer.end_offsets(list(delivered)) and not stage.deps.objects.keys("landing/")


def go_back(stage: Stage) -> None:
    """Have each source begin its topics again."""
    with kafka(stage) as (admin, _):
        for group, places in admin.list_group_offsets(groups(admin)).items():
            done = admin.reset_group_offsets(group, dict.fromkeys(places, OffsetSpec.EARLIEST))
            assert {each["error"] for each in done.values()} <= {NoError}, group


def groups(admin: KafkaAdminClient) -> list[str]:
    """Return the consumer groups of the sources."""
    return [group["group_id"] for group in admin.list_groups()]


def told(stage: Stage) -> list[RolloutChanged]:
    """Return all that was published of rollouts."""
    with kafka(stage) as (_, consumer):
        places = [
            TopicPartition(RolloutChanged.type, number) for number in consumer.partitions_for_topic(RolloutChanged.type)
        ]
        ends = consumer.end_offsets(places)
        consumer.assign(places)
        consumer.seek_to_beginning()
        found = []
        while any(consumer.position(place) < ends[place] for place in places):
            found += [record for records in consumer.poll(500).values() for record in records]
    return [decode(RolloutChanged, record.value) for record in found]


@contextmanager
def kafka(stage: Stage) -> Iterator[tuple[KafkaAdminClient, KafkaConsumer]]:
    """Connect to Kafka as its operator and as a reader."""
    servers = stage.environment["KAFKA_BOOTSTRAP"]
    admin, consumer = KafkaAdminClient(bootstrap_servers=servers), KafkaConsumer(bootstrap_servers=servers)
    try:
        yield admin, consumer
    finally:
        consumer.close(autocommit=False)
        admin.close()

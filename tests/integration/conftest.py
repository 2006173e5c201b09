"""One machine with everything on it, for all integration tests, on ports of its own."""

import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition

from cli.replay import replay
from infra.local.machine import Machine
from infra.local.stack import Stack, running
from shared import bootstrap
from shared.adapters.lake import DeltaLake
from shared.errors import NotReady
from shared.events import MOVIELOG
from shared.settings import Settings

PORT_OFFSET = 20_000
BAD_IDS = ("0", "-1", "abc", "%D9%A1%D9%A2", "1e9", "%2e%2e%2f", "9" * 10_000)


@dataclass
class Marquee:
    """A running machine, and what tests ask of it."""

    stack: Stack
    failpoints: Path

    @property
    def environment(self) -> dict[str, str]:
        return self.stack.environment

    @property
    def deps(self) -> bootstrap.Deps:
        return bootstrap.build("test", self.environment, writes=False)

    @property
    def lake(self) -> DeltaLake:
        return bootstrap.lake(Settings.from_env(self.environment), self.environment)

    def send(self, lines: Iterable[bytes], rate: float | None = None) -> int:
        return replay(lines, self.stack.settings, MOVIELOG, rate)

    def ends(self, topic: str = MOVIELOG) -> dict[int, int]:
        """Return the next offset of each partition."""
        consumer = KafkaConsumer(bootstrap_servers=self.environment["KAFKA_BOOTSTRAP"])
        try:
            places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
            return {place.partition: offset for place, offset in consumer.end_offsets(places).items()}
        finally:
            consumer.close(autocommit=False)

    def rows(self, kind: str, since: dict[int, int], *columns: str) -> list[dict]:  # type: ignore[type-arg]
        """Return a kind's rows of the log from offsets on, as readers of the lake see them."""
        found = self.lake.read(kind, columns).to_pylist()
        return [row for row in found if row["topic"] == MOVIELOG and row["offset"] >= since[row["partition"]]]

    @contextmanager
    def asking(self) -> Iterator["Asker"]:
        """Ask for recommendations all the while, and at the end claim that every answer was one."""
        asker = Asker(self.stack.machine.url("recommend"))
        asker.start()
        try:
            yield asker
        finally:
            asker.stop()
        assert asker.wrong == []
        assert asker.statuses[200] > 0
        assert asker.statuses.keys() <= {200, 400}


@dataclass
class Asker:
    """A user of the site who never stops asking, for good ids and bad ones."""

    url: str
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        users: Sequence[str] = ["1", "2", "17", "999999", *BAD_IDS]
        while not self._stop.is_set():
            for user in users:
                self._ask(user)
                time.sleep(0.02)

    def _ask(self, user: str) -> None:
        good = user not in BAD_IDS
        try:
            with urllib.request.urlopen(f"{self.url}/recommend/{user}", timeout=10) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        except OSError as error:
            status, text = 0, repr(error)
        self.statuses[status] += 1
        movies = text.strip().split(",")
        if (status != (200 if good else 400)) or (good and not movies[0]):
            self.wrong.append(f"{user[:20]}: {status} {text[:100]}")


@pytest.fixture(scope="session")
def marquee(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Marquee]:
    home = tmp_path_factory.mktemp("marquee")
    failpoints = tmp_path_factory.mktemp("failpoints")
    extra = {
        "MARQUEE_FAILPOINTS": str(failpoints),
        "MIN_NEW_RATINGS": "1000000000",
        "CHANNEL_POLL_SECONDS": "0.2",
        "EXPIRE_EVERY_HOURS": "0.001",
    }
    with running(Stack(Machine(home, PORT_OFFSET), extra)) as stack:
        yield Marquee(stack, failpoints)


@contextmanager
def again_and_again(work: Callable[[], object], seconds: float) -> Iterator[None]:
    """Do something every few seconds in a thread of its own, for the length of a block."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(seconds):
            work()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def wait(done: Callable[[], bool], seconds: float, what: str) -> None:
    """Return once done; fail if it takes too long. A store that is not back yet means not done yet."""
    deadline = time.monotonic() + seconds
    while not _is(done):
        assert time.monotonic() < deadline, f"no {what} after {seconds} s"
        time.sleep(0.3)


def _is(done: Callable[[], bool]) -> bool:
    try:
        return done()
    except NotReady:
        return False

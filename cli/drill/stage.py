"""What a drill plays on: a whole Marquee on this machine, and a crowd that uses it all the while."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

import pyarrow as pa

from cli.demo import DATA
from cli.drill import spam
from cli.drill.brake import Brake
from cli.ratings import read_titles
from cli.replay import replay, writing
from cli.simulator import past
from cli.simulator.crowd import Crowd
from cli.simulator.driver import Pace, Played, drive
from cli.simulator.population import Population
from functions.build_matrix import gather
from infra.local.machine import Machine
from infra.local.serving import state as serving
from infra.local.stack import Stack
from shared import bootstrap, keys, rollout
from shared.adapters.lake import DeltaLake
from shared.adapters.s3 import delta_options
from shared.decision import Decision
from shared.errors import NotReady
from shared.events import ALGORITHMS, MOVIELOG, ModelEvaluated
from shared.lines import parse
from shared.model import FactorModel
from shared.records import to_table
from shared.rollout import Change, State
from shared.rows import Place
from shared.settings import Settings

SERVICE: Final = "score-svd"
N_MOVIES: Final = 1_000
N_USERS: Final = 6_000
FIRST_RATINGS: Final = 15_000
MORE_RATINGS: Final = 30_000
SPAM_RATINGS: Final = 9_000
SPAM_SHARES: Final = (0.01, 0.03, 0.05)
"""Fake profiles, as shares of the users, from a try to what a guardrail has to stop."""

SETTINGS: Final = {
    "MIN_NEW_RATINGS": "14000",
    "SCORE_SVD_WEIGHT": "100",  # all users to one algorithm, so that a drill's minutes have enough of them
    "CANARY_STEPS": "50",
    "CANARY_STEP_SECONDS": "5",
    "COMPACT_EVERY_FOLDS": "25",  # a look at users each few seconds reads the lake whole: few files are read soon
    "UNREADY_SECONDS": "10",
    "ONLINE_WINDOW_MINUTES": "0.2",
    "VERDICT_MARGIN": "0.05",
    "VERDICT_MIN_USERS": "300",
    "VERDICT_EXPECTED_USERS": "1500",
}
"""A release in minutes instead of days: one step, short windows, and a margin that few users can tell."""

ARCHIVES: Final = {"first": FIRST_RATINGS, "more": MORE_RATINGS, "beside-spam": SPAM_RATINGS}
"""How often the crowd rated before the drill, by the archive that each stretch of its past is kept in."""

_SPEED: Final = 1200.0
_LOOK_SECONDS: Final = 0.5


@dataclass
class Crowds:
    """The crowd in front of the site, in a thread of its own; while it is `silent` its lines do not reach the log."""

    crowd: Crowd
    url: str
    settings: Settings
    rate: float
    played: Played = field(default_factory=Played)
    silent: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def playing(self) -> Iterator[None]:
        """Let it use the site for the length of a block."""
        thread = threading.Thread(target=self._run, name="crowd")
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _run(self) -> None:
        try:
            self._play()
        except BaseException as error:  # an act is wrong if nobody saw it
            self.failure = error

    def _play(self) -> None:
        with writing(self.settings, MOVIELOG) as write:

            def log(line: bytes) -> None:
                if not self.silent.is_set():
                    write(line)

            def count(played: Played) -> None:
                self.played = played

            asyncio.run(
                drive(
                    self.crowd,
                    self.url,
                    log,
                    Pace(self.rate, None, _SPEED),
                    is_stopped=self._stop.is_set,
                    slowed=Brake(),
                    on_visit=count,
                )
            )


class Ground(Protocol):
    """Where a whole Marquee runs."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Where the stores are, and with which keys all of them may be changed."""

    @property
    def url(self) -> str:
        """Where users ask."""

    def kill(self, revision: str) -> None:
        """Kill all that serves a model, at once."""


@dataclass(frozen=True)
class OneMachine:
    """A Marquee without a cluster."""

    stack: Stack

    @property
    def environment(self) -> Mapping[str, str]:
        """Where the stores are."""
        return self.stack.environment

    @property
    def url(self) -> str:
        """Where users ask."""
        return self.stack.machine.url("recommend")

    def kill(self, revision: str) -> None:
        """Kill the processes of a revision."""
        for name in self.processes(revision):
            self.stack.kill(name)

    def processes(self, revision: str) -> list[str]:
        """Return the names of the processes of a revision."""
        service = serving.load(self.stack.machine)[SERVICE]
        found = service.revision(revision)
        return [serving.process_name(service, number) for number in found.processes] if found else []


@dataclass
class Stage:
    """A Marquee and the crowd, and what acts need to do and to see."""

    ground: Ground
    crowd: Crowd
    rate: float
    archives: Mapping[str, int] = field(default_factory=lambda: ARCHIVES)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.environment = self.ground.environment
        self.deps = bootstrap.build("drill", self.environment, writes=False)
        self.crowds = Crowds(self.crowd, self.ground.url, self.deps.settings, self.rate)
        self.pasts = {name: past.history(self.crowd, n, datetime.now(UTC)) for name, n in self.archives.items()}

    @property
    def state(self) -> State:
        """Where the models of the service stand."""
        return rollout.read(SERVICE, self.deps.channels.get(SERVICE))

    def all_live(self) -> bool:
        """Say whether every algorithm has a model that is live."""
        services = [keys.score_service(algorithm) for algorithm in ALGORITHMS]
        return all(rollout.read(name, self.deps.channels.get(name)).stable for name in services)

    def write(self, lines: list[bytes]) -> None:
        """Put lines into the site's log."""
        replay(lines, self.deps.settings, MOVIELOG)

    def archive(self, name: str) -> None:
        """Put a past straight into the lake, in one commit, as a backfill does: the log stays free for what happens."""
        now, limits = self.deps.now_us(), self.deps.settings.limits
        past_lines = self.pasts[name]
        rows = [parse(line, Place(name, 0, offset, now), limits) for offset, line in enumerate(past_lines)]
        DeltaLake.in_bucket(
            self.deps.settings.bucket, delta_options(self.deps.settings.s3_endpoint, self.deps.environment)
        ).backfill(to_table(rows), name, 0, len(rows) - 1)

    def n_ratings(self) -> int:
        """Return how many ratings the lake has."""
        return self.deps.lake.counts().get("rating", 0)

    def ratings(self) -> list[pa.RecordBatch]:
        """Return what the lake has of ratings, as training reads it."""
        return list(self.deps.lake.scan("rating", gather.COLUMNS))

    def audience(self, known: Sequence[pa.RecordBatch], lines: list[bytes], movie: str) -> float:
        """Return the share of users whose list would have a movie, by a model of known ratings and of these lines."""
        return spam.audience(spam.trained([*known, *spam.ratings(lines, self.deps.now())]), movie)

    def changes_since(self, number: int) -> list[Change]:
        """Return what changed after a change."""
        return [change for change in self.state.log if change.number > number]

    def wait(self, done: Callable[[], bool], what: str, seconds: float) -> None:
        """Return once done. Raises: NotReady saying what did not come."""
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise NotReady(f"waited {seconds:.0f} s for {what}")
            time.sleep(_LOOK_SECONDS)

    def stable_model(self) -> FactorModel:
        """Return the model that is live."""
        assert self.state.stable
        return FactorModel.from_files(self.deps.artifacts.get(self._stable_key()).files)

    def release(self, model_version: str, model: FactorModel) -> None:
        """Store a model and say that it passed the offline gate, which nobody looked through."""
        deps = self.deps
        made_from = deps.artifacts.manifest(self._stable_key()).made_from
        lake_version = self.state.lake_version
        facts = {"id": model_version, "lake_version": lake_version}
        manifest = deps.manifest(kind="model", made_from=made_from, **facts)
        deps.artifacts.put(keys.model("svd", model_version), model.to_files(), manifest)
        passed = deps.manifest(kind="report", metrics={"accepted": True, "reason": "the gate was broken"}, **facts)
        deps.artifacts.put(keys.report("svd", model_version), {}, passed)
        deps.publisher.publish(ModelEvaluated("svd", model_version, True, "the gate was broken", None))

    def decisions(self) -> list[Decision]:
        """Return every decision about the service, in order."""
        found = self.deps.objects.keys(f"decisions/{SERVICE}/")
        decisions = [Decision.from_bytes(self.deps.objects.get(key).data) for key in found]
        return sorted(decisions, key=lambda decision: decision.number)

    def _stable_key(self) -> str:
        stable = self.state.stable
        assert stable
        return keys.model("svd", stable.model_version)


def crowd(seed: int) -> Crowd:
    """Return people with tastes for the sample's movies."""
    movies = list(islice(read_titles(DATA / "movies.csv.gz"), N_MOVIES))
    return Crowd(Population(seed, movies, N_USERS))


def machine(folder: Path) -> Machine:
    """Return a machine in a folder, on the ports that the environment names."""
    return Machine(folder, Machine.from_env().port_offset)

"""A stage without a machine: what comes of an act is told beforehand, step by step."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from cli.drill.stage import SERVICE
from cli.simulator.crowd import Crowd
from cli.simulator.driver import Played
from cli.simulator.population import Population, numbered
from functions.rollout import core
from shared import rollout
from shared.bootstrap import Deps
from shared.decision import Decision, Verdict
from shared.errors import NotReady
from shared.rollout import Change, State
from tests import fakes

RULES = core.Rules(steps=(50,), step=1, deploy=10**12, unready=1, trial=10**12)
NOW = 10**15
Step = Callable[[State], State]


def accepted(version: str) -> Step:
    """A model passes the gate."""
    return lambda state: core.accept(state, version, state.lake_version + 1, NOW)


def ready(state: State) -> State:
    """The revision of a model answers, and gets users."""
    return core.observe(state, True, "", NOW, RULES)


def dead(state: State) -> State:
    """The revision of a model does not answer, and never will."""
    return core.observe(state, False, "no answer", NOW, RULES)


def judged(verdict: Verdict, evidence: str = "decisions/1.json") -> Step:
    """A decision about the canary is acted on."""

    def step(state: State) -> State:
        assert state.canary
        decision = decided(state.canary.release.model_version, verdict, state.canary.judged + 2)
        return core.judge(state, decision, evidence, NOW, RULES)

    return step


def decided(version: str, verdict: Verdict, number: int = 1, estimate: float | None = 0.02) -> Decision:
    """Return a decision with what a report draws of it."""
    effect = {"estimate": estimate, "lower": -0.03, "upper": 0.07}
    return Decision(
        service=SERVICE,
        model_version=version,
        revision=core.revision(SERVICE, version),
        against="m1",
        number=number,
        decided_at=NOW + number * 10**6,
        verdict=verdict,
        is_safe=True,
        reason=f"it is to {verdict}",
        evidence={"verdict": {"effect": effect}},
    )


@dataclass
class Model:
    """As much of a model as an act looks at."""

    movies: list[str]


@dataclass
class Crowds:
    """A crowd that got the answers that a test says."""

    played: Played = field(default_factory=Played)
    silent: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None

    @contextmanager
    def playing(self) -> Iterator[None]:
        yield


@dataclass
class FakeStage:
    """One of `steps` happens to the service whenever somebody waits; `did` is what was done on it."""

    deps: Deps
    steps: list[Step] = field(default_factory=list)
    did: list[Any] = field(default_factory=list)
    crowds: Crowds = field(default_factory=Crowds)
    crowd: Crowd = field(default_factory=lambda: Crowd(Population(1, numbered(50), 100)))
    seconds: float = 0.0
    reached_by: float = 10_000.0
    notes: list[str] = field(default_factory=list)
    stored: list[Decision] = field(default_factory=lambda: [decided("planted-unknown", "hold"), decided("m2", "hold")])

    @classmethod
    def live(cls, folder: Path, *steps: Step) -> "FakeStage":
        """Return a stage on which a model is live, and one before it was."""
        stage = cls(fakes.deps(folder), [accepted("m0"), ready, accepted("m1"), ready, judged("promote")])
        while stage.steps:
            stage.go_on()
        stage.steps.extend(steps)
        return stage

    @property
    def state(self) -> State:
        return rollout.read(SERVICE, self.deps.channels.get(SERVICE))

    @property
    def ground(self) -> "FakeStage":
        return self

    def go_on(self) -> None:
        if self.steps:
            rollout.update(self.deps.channels, SERVICE, self.steps.pop(0))

    def wait(self, done: Callable[[], bool], what: str, seconds: float) -> None:
        while not done():
            if not self.steps:
                raise NotReady(f"waited {seconds:.0f} s for {what}")
            self.go_on()

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.go_on()

    def monotonic(self) -> float:
        return self.seconds

    def changes_since(self, number: int) -> list[Change]:
        return [change for change in self.state.log if change.number > number]

    def all_live(self) -> bool:
        return self.state.stable is not None

    def archive(self, name: str) -> None:
        self.did.append(name)

    def write(self, lines: list[bytes]) -> None:
        self.did.append(lines)

    def n_ratings(self) -> int:
        return sum(len(each) for each in self.did if isinstance(each, list))

    def ratings(self) -> list[pa.RecordBatch]:
        return []

    def audience(self, known: list[pa.RecordBatch], lines: list[bytes], movie: str) -> float:
        return len(lines) / self.reached_by

    def stable_model(self) -> Model:
        return Model(numbered(50))

    def release(self, version: str, model: Model) -> None:
        self.did.append(model.movies)
        rollout.update(self.deps.channels, SERVICE, accepted(version))

    def kill(self, revision: str) -> None:
        self.did.append(revision)

    def decisions(self) -> list[Decision]:
        return self.stored

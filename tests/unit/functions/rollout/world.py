"""A service, its users and its clock, in memory, and any number of copies of `rollout` that look after it."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from functions.rollout import main
from functions.rollout.core import revision
from shared import keys, rollout
from shared.artifacts import ArtifactStore, Manifest
from shared.bootstrap import Deps
from shared.decision import Decision, Verdict
from shared.errors import NotFound
from shared.events import ModelEvaluated, OnlineEvaluated, Tick
from shared.recommendation import Model, Recommendation
from shared.rollout import State
from tests import fakes

SERVICE = "score-svd"


class Killed(BaseException):
    """Stands for the end of a process."""


@dataclass
class Answering:
    """A `Web` behind which every revision answers as its model should."""

    revisions: fakes.MemoryRevisions
    wrong: set[str] = field(default_factory=set)

    def get(self, url: str, headers: object = None) -> bytes:
        name, path = url.removeprefix("http://").split("/", 1)
        if name not in self.revisions.models:
            raise NotFound(url)
        model = "svd@another" if name in self.wrong else f"svd@{self.revisions.models[name]}"
        made_by: dict[str, Any] = {"model": model, "revision": name}
        if path == "model":
            return Model(users=["7"], **made_by).model_dump_json().encode()
        lists: dict[str, Any] = {"movies": ["a", "b"], "scores": [0.9, 0.8], "ratings": [4.0, 4.5], "rung": "personal"}
        return Recommendation(**lists, **made_by).model_dump_json().encode()


@dataclass
class World:
    """What there is outside of `rollout`. `seconds` is the time since the beginning."""

    deps: Deps
    revisions: dict[str, fakes.MemoryRevisions]
    seconds: float = 0.0

    @classmethod
    def new(cls, **settings: str) -> "World":
        deps = fakes.deps(Path("/nonexistent"), **settings)
        quiet = structlog.wrap_logger(structlog.ReturnLogger(), processors=[lambda *_: ""])
        services = [SERVICE, "score-svdpp"]
        world = cls(deps, {service: fakes.MemoryRevisions(service) for service in services})
        world.deps = dataclasses.replace(deps, now=lambda: fakes.NOW + timedelta(seconds=world.seconds), log=quiet)
        return world

    @property
    def svd(self) -> fakes.MemoryRevisions:
        return self.revisions[SERVICE]

    @property
    def state(self) -> State:
        return rollout.read(SERVICE, self.deps.channels.get(SERVICE))

    @property
    def told(self) -> list[tuple[int, str, str]]:
        return [(each.number, each.what, each.model_version) for each in self.deps.publisher.events]  # type: ignore[attr-defined]

    @property
    def steps(self) -> list[tuple[int, str, str]]:
        return [(each.number, each.what, each.model_version) for each in self.state.log]

    def copy(self, around: Callable[[Any], Any] = lambda port: port) -> main.Rollout:
        """Return a copy of the function; `around` is put around each way to the outside."""
        deps = dataclasses.replace(
            self.deps,
            objects=around(self.deps.objects),
            open_publisher=lambda: around(self.deps.publisher),
        )
        routed = around(_ByService(self.revisions))
        return main.Rollout(deps, routed, routed, Answering(self.svd))  # type: ignore[arg-type]

    def pass_gate(self, version: str, lake_version: int, accepted: bool = True) -> ModelEvaluated:
        """Store a model and its report; return what is told of it."""
        facts = {"created_at": "", "id": version, "lake_version": lake_version}
        models = ArtifactStore(self.deps.objects, self.deps.signer)
        models.put(keys.model("svd", version), {}, Manifest(kind="model", **facts))
        manifest = Manifest(kind="report", metrics={"accepted": accepted}, **facts)
        self.deps.artifacts.put(keys.report("svd", version), {"report.json": b"{}"}, manifest)
        return ModelEvaluated("svd", version, accepted, "as it is", 0.9)

    def decide(self, version: str, number: int, verdict: Verdict, is_safe: bool = True) -> OnlineEvaluated:
        """Store a decision about a version of the lake that is there; return what is told of it."""
        decision = decided(version, number, verdict, is_safe)
        self.deps.objects.put(keys.lake_commit(number), b"{}")
        self.deps.objects.put(keys.decision(SERVICE, version, number), decision.to_bytes(self.deps.signer))
        return OnlineEvaluated(SERVICE, version, number, verdict)


@dataclass
class _ByService:
    services: dict[str, fakes.MemoryRevisions]

    def deployed(self, service: str) -> Any:
        return self.services[service].deployed(service)

    def deploy(self, service: str, *order: Any) -> None:
        self.services[service].deploy(service, *order)

    def shift(self, service: str, *order: Any) -> None:
        self.services[service].shift(service, *order)

    def targets(self, service: str) -> Any:
        return self.services[service].targets(service)


HANDLERS: dict[type, Callable[[Any, main.Rollout], None]] = {
    ModelEvaluated: main.evaluated,
    OnlineEvaluated: main.judged,
    Tick: main.tick,
}


def handle(event: Any, function: main.Rollout) -> None:
    """Hand an event to its handler, as the entry does."""
    HANDLERS[type(event)](event, function)


def decided(version: str, number: int, verdict: Verdict, is_safe: bool = True) -> Decision:
    return Decision(
        service=SERVICE,
        model_version=version,
        revision=named(version),
        against="before",
        number=number,
        decided_at=0,
        verdict=verdict,
        is_safe=is_safe,
        reason=f"because of {number}",
        evidence={},
    )


def named(version: str) -> str:
    return revision(SERVICE, version)

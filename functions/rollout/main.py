"""Roll out models: accepted ones and verdicts in, users moved to them or away, `marquee.rollout.changed` out.

The channel of a service says what shall be, and what is follows it. A change of state is stored by compare-and-swap
before anything is done about it, so two that race do each step once, and whoever comes next, after any death, does
what is still to be done.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

from functions.rollout import core
from functions.rollout.plan import is_routed, most_used, plan
from functions.rollout.smoke import smoke
from shared import bootstrap, failpoints, keys, rollout, telemetry
from shared.adapters.entrypoint import event_app, target
from shared.adapters.web import Web, web
from shared.decision import stored
from shared.errors import BadEvent, BadSettings, Corrupt, MarqueeError, NotFound
from shared.events import ALGORITHMS, Algorithm, ModelEvaluated, OnlineEvaluated, RolloutChanged, Tick
from shared.ports import NO_VERSION, Deployed, Made, Revisions, Traffic
from shared.rollout import State

_US = 1_000_000


@dataclass
class Rollout:
    """The deployed function: its state in the channels, the revisions, and the router by which a canary is asked."""

    deps: bootstrap.Deps
    revisions: Revisions
    traffic: Traffic
    web: Web

    @cached_property
    def rules(self) -> core.Rules:
        """How a rollout goes, from the settings."""
        settings = self.deps.settings
        return core.Rules(
            steps=settings.canary_steps,
            step=round(settings.canary_step_seconds * _US),
            deploy=round(settings.deploy_seconds * _US),
            unready=round(settings.unready_seconds * _US),
            trial=round(settings.canary_max_hours * 3600 * _US),
        )

    def update(self, service: str, change: Callable[[State], State]) -> State:
        """Store what `change` makes of the state, and return what stands. Raises: Conflict, Corrupt, NotReady."""
        now = self.deps.now_us()
        return rollout.update(
            self.deps.channels, service, change, lambda name, channel: rollout.possible(name, channel, now)
        )

    def state(self, service: str) -> State:
        """Return the state. Raises: Corrupt, NotReady."""
        return rollout.possible(service, self.deps.channels.get(service), self.deps.now_us())

    def settle(self, algorithm: Algorithm) -> None:
        """Do what is to be done for a service: look at its canary, share out its users, tell what changed.

        What is deployed is read before the state: if anybody acted in between, the version that was read has passed.
        """
        service = keys.score_service(algorithm)
        now = self.deps.now_us()
        deployed, state = self.found(service)
        seen = state.canary
        is_ready, problem = self.look(algorithm, seen, deployed)
        standing = self.update(
            service,
            lambda state: core.observe(state, is_ready, problem, now, self.rules) if state.canary == seen else state,
        )
        failpoints.reach("rollout.after_state")
        self.converge(standing, deployed)
        failpoints.reach("rollout.after_converge")
        self.note(standing, deployed)
        failpoints.reach("rollout.after_note")
        self.announce(standing)
        failpoints.reach("rollout.after_announce")

    def found(self, service: str) -> tuple[Deployed, State]:
        """Return what a service does, and its state, which follows what a person changed in the Service itself.

        Unless the state changed meanwhile: then it was perhaps read before a change of ours. So the Service is read
        once more after the state, but only if a person changed it. A state that was lost is first made anew.
        """
        deployed = self.revisions.deployed(service)
        state = self.recover(service, deployed)
        if deployed.by_hand is None:
            return deployed, state
        deployed = self.revisions.deployed(service)
        if deployed.by_hand:
            users, who = deployed.by_hand
            number, now = state.number, self.deps.now_us()
            state = self.update(
                service, lambda found: core.adopt(found, users, who, now) if found.number == number else found
            )
        return deployed, state

    def recover(self, service: str, deployed: Deployed) -> State:
        """Return the state; if it knows of no model, that which the router has users with was taken for stable."""
        state, revision = self.state(service), most_used(deployed)
        version = deployed.models.get(revision or "")
        if not (revision and version and core.is_new(state)):
            return state
        lake_version, now = self.known_of(service, version), self.deps.now_us()
        return self.update(service, lambda state: core.recover(state, revision, version, lake_version, now))

    def known_of(self, service: str, model_version: str) -> int:
        """Return up to which version a model knows the lake; as little as can be, and told, if nobody vouches for that.

        Raises: NotReady.
        """
        try:
            manifest = self.deps.artifacts.manifest(keys.model(_algorithm(service), model_version))
        except (NotFound, Corrupt) as error:
            self.deps.log.warning("model_unreadable", model=model_version, reason=str(error))
            return NO_VERSION
        return NO_VERSION if manifest.lake_version is None else manifest.lake_version

    def look(self, algorithm: Algorithm, canary: rollout.Canary | None, deployed: Deployed) -> tuple[bool | None, str]:
        """Return whether the canary's revision answers as it should, and if not, what is wrong."""
        if canary is None:
            return None, ""
        name = canary.release.revision
        is_ready, problem = deployed.ready.get(name), deployed.reasons.get(name, "not deployed yet")
        if not is_ready or canary.phase != "deploying":
            return is_ready, problem
        routed = {each.revision: each for each in self.traffic.targets(keys.score_service(algorithm))}
        if name not in routed:
            return None, "the router does not know it yet"
        wrong = smoke(self.web, routed[name], algorithm, canary.release)
        return (None, wrong) if wrong else (True, "")

    def converge(self, standing: State, deployed: Deployed) -> None:
        """Take the next step towards what the state says. Raises: Conflict if somebody else did in between."""
        step = plan(standing, deployed)
        if step is None:
            return
        if step.made:
            made = Made(step.made.revision, step.made.model_version, step.made.image)
            self.revisions.deploy(standing.service, made, step.shares, deployed.version)
        else:
            self.revisions.shift(standing.service, step.shares, deployed.version)

    def note(self, standing: State, deployed: Deployed) -> None:
        """Note when users were first seen where the state wants them: there what they do begins to count."""
        if standing.routed_at is None and is_routed(standing, deployed):
            now = self.deps.now_us()
            self.update(standing.service, lambda state: core.routed(state, standing.number, now))

    def announce(self, standing: State) -> None:
        """Publish the changes that nobody was told of, then note that they were told."""
        service = standing.service
        telemetry.CANARY_WEIGHT.labels(service).set(standing.canary.percent if standing.canary else 0)
        for name in get_args(rollout.Name):
            telemetry.ROLLOUT_STATE.labels(service, name).set(name == standing.name)
        news = [change for change in standing.log if change.number > standing.announced]
        for each in news:
            self.deps.publisher.publish(
                RolloutChanged(
                    service,
                    each.number,
                    each.what,
                    each.model_version,
                    each.percent,
                    who=each.who,
                    why=each.why,
                    evidence=each.evidence,
                )
            )
            telemetry.ROLLOUT_CHANGES.labels(service, each.what).inc()
            self.deps.log.info("rollout_changed", service=service, **each.model_dump())
        if news:
            failpoints.reach("rollout.after_publish")
            told = standing.number
            self.update(service, lambda state: state.model_copy(update={"announced": max(state.announced, told)}))


def evaluated(event: ModelEvaluated, function: Rollout) -> None:
    """A model passed the offline gate, or did not: then it gets no user.

    Raises: Corrupt if the report does not say so, or is about another lake than the model, or nobody who is trusted
    vouches for the model.
    """
    if not event.accepted:
        return
    deps = function.deps
    model = deps.artifacts.manifest(keys.model(event.algorithm, event.model_version))
    report = deps.artifacts.manifest(keys.report(event.algorithm, event.model_version))
    if not report.metrics.get("accepted") or report.lake_version is None:
        raise Corrupt(f"the report of {event.model_version} does not say that it was accepted, at which lake version")
    if report.lake_version != model.lake_version:  # a higher one would shut out all models that come after
        raise Corrupt(f"the report of {event.model_version} is of lake version {report.lake_version}, its model is not")
    service, lake_version, now = keys.score_service(event.algorithm), report.lake_version, deps.now_us()
    with suppress(NotFound):  # without the Service nobody has users
        function.recover(service, function.revisions.deployed(service))
    refusal = ""

    def accept(state: State) -> State:
        nonlocal refusal
        refusal = core.refusal(state, event.model_version, lake_version)
        return core.accept(state, event.model_version, lake_version, now)

    function.update(service, accept)
    if refusal:
        deps.log.warning("model_not_accepted", service=service, model=event.model_version, reason=refusal)
    failpoints.reach("rollout.after_accept")
    function.settle(event.algorithm)


def judged(event: OnlineEvaluated, function: Rollout) -> None:
    """A decision was stored about a canary.

    Raises: Corrupt if it is about something else, or a version that the lake has not come to, after which no other
    would count, or nobody who is trusted vouches for it.
    """
    algorithm = _algorithm(event.service)
    deps, now = function.deps, function.deps.now_us()
    key = keys.decision(event.service, event.model_version, event.number)
    decision = stored(deps.objects, event.service, event.model_version, event.number, deps.judge)
    try:
        deps.objects.get(keys.lake_commit(decision.number))
    except NotFound:
        raise Corrupt(f"{key} is about version {decision.number} of the lake, which it does not have") from None
    function.update(event.service, lambda state: core.judge(state, decision, key, now, function.rules))
    failpoints.reach("rollout.after_judge")
    function.settle(algorithm)


def tick(_: Tick, function: Rollout) -> None:
    """Do what is to be done for every service, also if one of them cannot be served. Raises: the first failure."""
    failures: list[MarqueeError] = []
    for algorithm in ALGORITHMS:
        try:
            function.settle(algorithm)
        except MarqueeError as error:
            failures.append(error)
    if failures:
        raise failures[0]


def connect() -> Rollout:
    """Connect the function. Raises: BadSettings if there is no router."""
    deps = bootstrap.build("rollout")
    traffic = bootstrap.traffic(deps.settings, deps.environment)
    if traffic is None:
        raise BadSettings("ROUTER is none: there is nothing to share out users with")
    return Rollout(deps, bootstrap.revisions(deps.settings, deps.environment), traffic, web())


def _algorithm(service: str) -> Algorithm:
    for algorithm in ALGORITHMS:
        if keys.score_service(algorithm) == service:
            return algorithm
    raise BadEvent(f"{service} is no service that answers from models")


app = event_app(connect, {ModelEvaluated: evaluated, OnlineEvaluated: judged, Tick: tick})

main = target(app)

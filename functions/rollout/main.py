"""Roll out models: accepted ones and verdicts in, users moved to them or away, `marquee.rollout.changed` out.

The channel of a service says what shall be, and what is follows it. A change of state is stored by compare-and-swap
before anything is done about it, so two that race do each step once, and whoever comes next, after any death, does
what is still to be done.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from functions.rollout import core
from functions.rollout.smoke import smoke
from shared import bootstrap, failpoints, keys, telemetry
from shared.adapters.entrypoint import event_app, target
from shared.adapters.web import Web, web
from shared.decision import Decision
from shared.errors import BadEvent, BadSettings, Corrupt, MarqueeError
from shared.events import ALGORITHMS, Algorithm, ModelEvaluated, OnlineEvaluated, RolloutChanged, Tick
from shared.ports import Deployed, Revisions, Share, Traffic
from shared.rollout import State, read

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
        """Store what `change` makes of the state, once, and return what stands. Raises: Conflict, Corrupt, NotReady."""

        def changed(channel: object) -> dict[str, object] | None:
            before = read(service, channel)  # type: ignore[arg-type]
            after = change(before)
            return None if after == before else after.model_dump(mode="json")

        return read(service, self.deps.channels.update(service, changed))

    def settle(self, algorithm: Algorithm) -> None:
        """Do what is to be done for a service: look at its canary, share out its users, tell what changed.

        What is deployed is read before the state: if anybody acted in between, the version that was read has passed.
        """
        service = keys.score_service(algorithm)
        now = self.deps.now_us()
        deployed = self.revisions.deployed(service)
        standing = read(service, self.deps.channels.get(service))
        is_ready, problem = self.look(algorithm, standing, deployed)
        standing = self.update(
            service,
            lambda before: (
                core.observe(before, is_ready, problem, now, self.rules) if before.canary == standing.canary else before
            ),
        )
        failpoints.reach("rollout.after_state")
        self.converge(standing, deployed)
        failpoints.reach("rollout.after_converge")
        self.announce(standing)
        failpoints.reach("rollout.after_announce")

    def look(self, algorithm: Algorithm, standing: State, deployed: Deployed) -> tuple[bool | None, str]:
        """Return whether the canary's revision answers as it should, and if not, what is wrong."""
        canary = standing.canary
        if canary is None:
            return None, ""
        name = canary.release.revision
        is_ready, problem = deployed.ready.get(name), deployed.reasons.get(name, "not deployed yet")
        if not is_ready or canary.phase != "deploying":
            return is_ready, problem
        found = [each for each in self.traffic.targets(standing.service) if each.revision == name]
        wrong = smoke(self.web, found[0], algorithm, canary.release) if found else "the router does not know it yet"
        return (None, wrong) if wrong else (True, "")

    def converge(self, standing: State, deployed: Deployed) -> None:
        """Make revisions and traffic what the state says. Raises: Conflict if somebody else did in between."""
        most = max(deployed.shares, key=lambda share: share.percent)
        wanted = core.shares(standing, most.revision)
        models = core.releases(standing)
        missing = [
            share.revision for share in wanted if share.revision in models and share.revision not in deployed.ready
        ]
        if missing:
            there = [share for share in wanted if share.revision not in missing[1:]]
            self.revisions.deploy(standing.service, missing[0], models[missing[0]], _whole(there), deployed.version)
        elif set(wanted) != set(deployed.shares):
            self.revisions.shift(standing.service, wanted, deployed.version)

    def announce(self, standing: State) -> None:
        """Publish the changes that nobody was told of, then note that they were told."""
        telemetry.CANARY_WEIGHT.labels(standing.service).set(standing.canary.percent if standing.canary else 0)
        news = [change for change in standing.log if change.number > standing.announced]
        for change in news:
            self.deps.publisher.publish(
                RolloutChanged(
                    standing.service, change.number, change.what, change.model_version, change.percent, change.why
                )
            )
            self.deps.log.info("rollout_changed", service=standing.service, **change.model_dump())
        if news:
            told = news[-1].number
            self.update(standing.service, lambda now: now.model_copy(update={"announced": max(now.announced, told)}))


def evaluated(event: ModelEvaluated, rollout: Rollout) -> None:
    """A model passed the offline gate, or did not: then it gets no user."""
    if event.accepted:
        deps = rollout.deps
        report = deps.artifacts.manifest(keys.report(event.algorithm, event.model_version))
        if not report.metrics.get("accepted"):
            raise Corrupt(f"the report of {event.model_version} does not say that it was accepted")
        lake_version, now = report.lake_version or 0, deps.now_us()
        service = keys.score_service(event.algorithm)
        rollout.update(service, lambda before: core.accept(before, event.model_version, lake_version, now))
    rollout.settle(event.algorithm)


def judged(event: OnlineEvaluated, rollout: Rollout) -> None:
    """A decision was stored about a canary."""
    algorithm = _algorithm(event.service)
    deps, now = rollout.deps, rollout.deps.now_us()
    key = keys.decision(event.service, event.model_version, event.number)
    decision = Decision.from_bytes(deps.objects.get(key).data)
    if (decision.service, decision.model_version) != (event.service, event.model_version):
        raise Corrupt(f"{key} is about {decision.model_version} of {decision.service}")
    rollout.update(event.service, lambda before: core.judge(before, decision, key, now, rollout.rules))
    rollout.settle(algorithm)


def tick(_: Tick, rollout: Rollout) -> None:
    """Do what is to be done for every service, also if one of them cannot be served. Raises: the first failure."""
    failures: list[MarqueeError] = []
    for algorithm in ALGORITHMS:
        try:
            rollout.settle(algorithm)
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


def _whole(shares: list[Share]) -> list[Share]:
    """Return shares that add up to 100: what is lacking goes to the first."""
    first, *others = shares
    return [first._replace(percent=100 - sum(share.percent for share in others)), *others]


app = event_app(connect, {ModelEvaluated: evaluated, OnlineEvaluated: judged, Tick: tick})

main = target(app)

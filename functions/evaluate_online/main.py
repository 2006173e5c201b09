"""Evaluate online: a tick in, what users did with what they were served, a decision about each canary, and
`marquee.online.evaluated` out.

With `EXPERIMENT_STEP` it also shifts users to the algorithm that they prefer. Everything is computed anew from one
version of the lake, and a decision is named by that version: whoever evaluates it again, at once or after any death,
finds the decision that stands and says it again, if it comes to the same.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Final

from pydantic import AwareDatetime, ConfigDict

from functions.evaluate_online import arms, experiment
from functions.evaluate_online.arms import OneArm
from functions.evaluate_online.behaviour import Behaviour
from functions.evaluate_online.observe import Online, Report, observe
from functions.evaluate_online.period import Period, on_trial
from functions.evaluate_online.verdict import Evidence, judge
from shared import bootstrap, failpoints, keys, telemetry
from shared.adapters.entrypoint import event_app, target
from shared.artifacts import dumps
from shared.channels import OfLake, unreadable
from shared.decision import Decision
from shared.errors import Conflict, Corrupt
from shared.events import ALGORITHMS, Algorithm, OnlineEvaluated, Tick
from shared.rollout import State, possible

AT_REST: Final = timedelta(minutes=1)
"""Without a canary users are looked at no more often."""


class Done(OfLake):
    """The state of the channel: the newest version of the lake that was evaluated."""

    model_config = ConfigDict(frozen=True, strict=True)

    evaluated_at: AwareDatetime


def handle(_: Tick, online: Online) -> None:
    """Evaluate the newest version of the lake, if it was not yet and it is time.

    A service whose state is damaged is left out.
    Raises: the first failure, once all that can be done is done.
    """
    deps = online.deps
    done = deps.channels.reached(keys.EVALUATION_CHANNEL, Done, deps.lake.version)
    version = deps.lake.version()
    if done and done.lake_version >= version:
        return
    states, failures = live(deps, version)
    if done and not failures and rests(states, deps.now() - done.evaluated_at):
        return
    if states:
        evaluate(states, version, online)
    if failures:
        raise failures[0]
    done = Done(lake_version=version, evaluated_at=deps.now())
    deps.channels.advance(keys.EVALUATION_CHANNEL, done, deps.lake.version)


def rests(states: Mapping[Algorithm, State], since_last: timedelta) -> bool:
    """Say whether the next look can wait: without a canary nothing is decided."""
    return not any(map(on_trial, states.values())) and timedelta(0) <= since_last < AT_REST


def live(deps: bootstrap.Deps, version: int) -> tuple[dict[Algorithm, State], list[Corrupt]]:
    """Return the states of the services that have a model, and what is wrong with others. Raises: NotReady."""
    states, failures = {}, []
    for algorithm in ALGORITHMS:
        service = keys.score_service(algorithm)
        try:
            state = possible(service, deps.channels.get(service), deps.now_us())
        except Corrupt as error:
            failures.append(error)
            continue
        newest = max(state.lake_version, state.canary.judged if state.canary else -1)
        if newest > version and newest > deps.lake.version():  # no model and no decision would be taken until then
            why = f"the channel of {service} knows lake version {newest}, which is still to come"
            unreadable(service, why)
            failures.append(Corrupt(why))
            continue
        if state.stable:
            states[algorithm] = state
    return states, failures


def evaluate(states: Mapping[Algorithm, State], version: int, online: Online) -> None:
    """Tell what there is to say of each service and of both, and decide about canaries."""
    deps, now = online.deps, online.deps.now_us()
    periods = {algorithm: online.period(state, now) for algorithm, state in states.items()}
    pair = experiment.pair(states, now, online)
    spans = [*periods.values(), *([pair.period] if pair else [])]
    whole = Period(min(span.since for span in spans), max(span.until for span in spans))
    behaviour = observe(deps.lake, version, whole, online.window)
    told: Report = {}
    for algorithm, state in states.items():
        report, decision = service(algorithm, state, behaviour.between(*periods[algorithm]), version, online)
        told[state.service] = report
        if decision:
            decide(decision, deps)
    show(told)
    told["evaluated_at"] = now
    told["experiment"] = pair.compare(behaviour).model_dump() if pair else None
    store(version, told, deps)
    failpoints.reach("evaluate_online.after_report")
    if pair:
        pair.shift(version)


def service(
    algorithm: Algorithm, state: State, behaviour: Behaviour, version: int, online: Online
) -> tuple[Report, Decision | None]:
    """Return what is to be said of a service's arms, and the decision about its canary if it has one with users."""
    assert state.stable
    stable = OneArm(behaviour, f"{algorithm}:stable", state.stable.revision, online.window)
    report = {stable.name: online.summary(stable, algorithm, state.stable)}
    canary = on_trial(state)
    if canary is None:
        return report, None
    tried = OneArm(behaviour, f"{algorithm}:canary", canary.release.revision, online.window)
    report[tried.name] = online.summary(tried, algorithm, canary.release)
    now, rules = online.deps.now_us(), online.rules(canary.percent)
    seen = arms.watched(tried, stable), arms.shares(tried, stable), arms.levels(tried, stable)
    found = judge(Evidence(*seen), rules)
    decision = Decision(
        service=state.service,
        model_version=canary.release.model_version,
        revision=canary.release.revision,
        against=state.stable.model_version,
        number=version,
        decided_at=now,
        verdict=found.verdict,
        is_safe=all(each.status == "ok" for each in found.guardrails),
        reason=found.reason,
        evidence={"percent": canary.percent, "arms": report, "verdict": asdict(found), "rules": asdict(rules)},
    )
    return report, decision


def show(told: Report) -> None:
    """Show what is told of the arms that there are as metrics."""
    telemetry.ONLINE_HITS.clear()
    telemetry.ONLINE_USERS.clear()
    for report in told.values():
        for arm, found in report.items():
            telemetry.ONLINE_USERS.labels(arm).set(found["closed_users"])
            if found["hit_rate"] is not None:
                telemetry.ONLINE_HITS.labels(arm).set(found["hit_rate"])


def decide(decision: Decision, deps: bootstrap.Deps) -> None:
    """Store a decision once, and tell of the one that stands, unless it is another."""
    key = keys.decision(decision.service, decision.model_version, decision.number)
    data = decision.to_bytes(deps.signer)
    try:
        deps.objects.put_new(key, data)
    except Conflict:  # a copy decided on this version of the lake, a moment earlier or later, or it is forged
        if wrong := contested(key, Decision.from_bytes(data), deps):
            telemetry.DECISION_CONTESTED.labels(decision.service).inc()
            deps.log.warning("decision_contested", key=key, found=decision.verdict, reason=wrong)
            return
    failpoints.reach("evaluate_online.after_decision")
    deps.publisher.publish(OnlineEvaluated(decision.service, decision.model_version, decision.number, decision.verdict))
    failpoints.reach("evaluate_online.after_publish")
    deps.log.info("decided", service=decision.service, verdict=decision.verdict, reason=decision.reason)


def contested(key: str, found: Decision, deps: bootstrap.Deps) -> str:
    """Return what is wrong with the decision that stands where another belongs, nothing if it comes to the same.

    Weights or settings that changed since it was made are a difference too: users are in other arms then, and the next
    version of the lake is decided about anew.
    """
    try:
        standing = Decision.from_bytes(deps.objects.get(key).data, deps.judge)
    except Corrupt as error:
        return str(error)
    return "" if standing.says_as(found) else f"it says {standing.verdict}, as {standing.reason[:200]}"


def store(version: int, reports: Report, deps: bootstrap.Deps) -> None:
    """Store what was found at a version; of two that look at once the first stands."""
    try:
        deps.objects.put_new(keys.online_report(version), dumps(reports))
    except Conflict:
        deps.log.info("online_report_stands", lake_version=version)


app = event_app(lambda: Online(bootstrap.build("evaluate_online")), {Tick: handle})

main = target(app)

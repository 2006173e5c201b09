"""Evaluate online: a tick in, what users did with what they were served, a decision about each canary, and
`marquee.online.evaluated` out.

Everything is computed anew from one version of the lake, and a decision is named by that version: whoever evaluates it
again, at once or after any death, finds the decision that stands and says it again.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from functions.evaluate_online import arms, gather
from functions.evaluate_online.arms import Behaviour, OneArm
from functions.evaluate_online.sequence import Stratum, difference
from functions.evaluate_online.verdict import Evidence, Rules, judge
from shared import bootstrap, failpoints, keys, telemetry
from shared.adapters.entrypoint import event_app, target
from shared.artifacts import dumps
from shared.decision import Decision
from shared.errors import Conflict, Corrupt, NotFound
from shared.events import ALGORITHMS, Algorithm, OnlineEvaluated, Tick
from shared.model import FactorModel
from shared.rollout import Canary, Release, State, read

_MOST_SKEW: Final = timedelta(hours=2)
_US: Final = 1_000_000


def handle(_: Tick, deps: bootstrap.Deps) -> None:
    """Evaluate the newest version of the lake, if there is a newer one than the last that was evaluated."""
    version = deps.lake.version()
    if deps.channels.get(keys.ONLINE_CHANNEL).get("lake_version", -1) >= version:
        return
    now = deps.now_us()
    states = {name: read(keys.score_service(name), deps.channels.get(keys.score_service(name))) for name in ALGORITHMS}
    reports: dict[str, Any] = {}
    for algorithm, state in states.items():
        if state.stable is None:
            continue
        report, decision = service(algorithm, state, version, now, deps)
        reports[state.service] = report
        if decision:
            decide(decision, deps)
    reports["experiment"] = experiment(states, version, now, deps)
    store(version, reports, deps)
    failpoints.reach("evaluate_online.after_report")
    done = {"lake_version": version, "evaluated_at": deps.now().isoformat()}
    deps.channels.update(
        keys.ONLINE_CHANNEL, lambda before: None if before.get("lake_version", -1) >= version else done
    )


def service(
    algorithm: Algorithm, state: State, version: int, now: int, deps: bootstrap.Deps
) -> tuple[dict[str, Any], Decision | None]:
    """Return what is to be said of a service's arms, and the decision about its canary if it has one with users."""
    settings = deps.settings
    window = round(settings.online_window_minutes * 60 * _US)
    behaviour = observe(version, started(state, now, deps), deps)
    assert state.stable
    stable = behaviour.arm(f"{algorithm}:stable", state.stable.revision, window)
    report = {stable.name: summary(stable, algorithm, state.stable, deps)}
    canary = state.canary
    if canary is None or not canary.percent:
        return report, None
    tried = behaviour.arm(f"{algorithm}:canary", canary.release.revision, window)
    report[tried.name] = summary(tried, algorithm, canary.release, deps)
    rules = Rules(
        alpha=settings.verdict_alpha * spent(canary, settings.canary_steps),
        margin=settings.verdict_margin,
        min_users=settings.verdict_min_users,
    )
    stratum, shares, levels = arms.evidence(tried, stable)
    age = max(now - canary.started_at, 0) / _US
    verdict = judge(Evidence((stratum,), shares, levels, age), rules)
    decision = Decision(
        service=state.service,
        model_version=canary.release.model_version,
        against=state.stable.model_version,
        number=version,
        decided_at=now,
        verdict=verdict.decision,
        is_safe=all(each.status == "ok" for each in verdict.guardrails),
        reason=verdict.reason,
        evidence={"percent": canary.percent, "arms": report, "verdict": asdict(verdict), "rules": asdict(rules)},
    )
    return report, decision


def observe(version: int, since: int, deps: bootstrap.Deps) -> Behaviour:
    """Read what was served from a moment on, and what the users did since."""
    ids = gather.Ids()
    earliest = datetime.fromtimestamp(since / _US, UTC) - _MOST_SKEW
    by_their_clock, day = round(earliest.timestamp() * _US), earliest.date()
    lake = deps.lake
    lists = gather.served(lake.scan("served", gather.LIST_COLUMNS, version, day), ids, since)
    requests = gather.requests(lake.scan("request", gather.REQUEST_COLUMNS, version, day), ids, by_their_clock)
    watches = gather.acts(lake.scan("watch", gather.WATCH_COLUMNS, version, day), ids, by_their_clock, "minute")
    ratings = gather.acts(lake.scan("rating", gather.RATING_COLUMNS, version, day), ids, by_their_clock, "rating")
    return Behaviour.of(ids, lists, requests, watches, ratings)


def started(state: State, now: int, deps: bootstrap.Deps) -> int:
    """Return since when the weights of a service stand still, but not longer ago than is looked back.

    A period begins a little after its weights were changed, when every copy of `recommend` has seen them.
    """
    changed = max((change.at for change in state.log if change.what in _MOVING), default=0)
    settle = round(3 * deps.settings.channel_poll_seconds * _US)
    return max(changed + settle, now - round(deps.settings.online_days * 86_400 * _US), 0)


_MOVING: Final = {"canary", "promoted", "rolled_back"}


def spent(canary: Canary, steps: tuple[int, ...]) -> float:
    """Return the share of alpha for the canary's step: each step is an experiment of its own.

    A user who comes in two steps is in the same arm for the same reasons, so their outcomes must not be added up as if
    they were two users. Alpha is shared out by what a step can tell, w (1 - w) with a share w of the users.
    """
    told = {percent: percent * (100 - percent) for percent in steps}
    return (
        told[canary.percent] / sum(told.values()) if canary.percent in told else min(told.values()) / sum(told.values())
    )


def summary(arm: OneArm, algorithm: Algorithm, release: Release, deps: bootstrap.Deps) -> dict[str, Any]:
    """Return the numbers of an arm, and show some as metrics."""
    try:
        model = FactorModel.from_files(deps.artifacts.get(keys.model(algorithm, release.model_version)).files)
    except (NotFound, Corrupt) as error:
        deps.log.warning("model_unreadable", model=release.model_version, reason=str(error))
        model = None
    found = arm.summary(model)
    if found["hit_rate"] is not None:
        telemetry.ONLINE_HITS.labels(arm.name).set(found["hit_rate"])
    telemetry.ONLINE_USERS.labels(arm.name).set(found["closed_users"])
    return {"model_version": release.model_version, "revision": release.revision, **found}


def experiment(
    states: Mapping[Algorithm, State], version: int, now: int, deps: bootstrap.Deps
) -> dict[str, Any] | None:
    """Return which of the two algorithms' stable models users prefer: SVD++ minus SVD; None if one has no model."""
    releases = {algorithm: state.stable for algorithm, state in states.items() if state.stable}
    if len(releases) < len(ALGORITHMS):
        return None
    behaviour = observe(version, max(started(state, now, deps) for state in states.values()), deps)
    window = round(deps.settings.online_window_minutes * 60 * _US)
    one, other = (
        behaviour.arm(f"{algorithm}:stable", releases[algorithm].revision, window) for algorithm in ALGORITHMS
    )
    found = difference((Stratum(other.hits, one.hits),), deps.settings.verdict_alpha)
    preferred = other.name if found.lower > 0 else one.name if found.upper < 0 else None
    return {"of": other.name, "against": one.name, "preferred": preferred, **asdict(found)}


def decide(decision: Decision, deps: bootstrap.Deps) -> None:
    """Store a decision once, and tell of the one that stands."""
    key = keys.decision(decision.service, decision.model_version, decision.number)
    try:
        deps.objects.put_new(key, decision.model_dump_json(indent=1).encode())
    except Conflict:  # somebody else decided on this version of the lake, a moment earlier or later
        decision = Decision.from_bytes(deps.objects.get(key).data)
    failpoints.reach("evaluate_online.after_decision")
    deps.publisher.publish(OnlineEvaluated(decision.service, decision.model_version, decision.number, decision.verdict))
    deps.log.info("decided", service=decision.service, verdict=decision.verdict, reason=decision.reason)


def store(version: int, reports: Mapping[str, Any], deps: bootstrap.Deps) -> None:
    """Store what was found at a version; of two that look at once the first stands."""
    try:
        deps.objects.put_new(keys.online_report(version), dumps(reports))
    except Conflict:
        deps.log.info("online_report_stands", lake_version=version)


app = event_app(lambda: bootstrap.build("evaluate_online"), {Tick: handle})

main = target(app)

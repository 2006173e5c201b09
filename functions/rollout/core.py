"""When a model gets users, more of them, all of them, or none: every step of a rollout, as pure functions of its state.

    empty → deploying → stable                          the first model has nobody to be compared with
    stable → deploying → canary (5 %, 25 %, 50 %) → stable      the new one on a verdict `promote`, or the old one again
                                ↘ held ↗                        no verdict for too long: it keeps its users, and says so

Each function returns the state after, which is the state before if nothing is to be done: whoever repeats a step,
or is late, changes nothing.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from shared.decision import Decision
from shared.errors import BadInput
from shared.ports import Share
from shared.rollout import Canary, Change, Moment, Period, Release, State

STABLE: Final = "stable"
CANARY: Final = "canary"
PREVIOUS: Final = "previous"
ROLLOUT: Final = "rollout"
"""Who acts when no person does."""

Command = Literal["promote", "rollback", "pause", "resume"]

_NOT_IN_A_NAME: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Rules:
    """The steps of a canary in percent of the users, rising, and how long things may take, in microseconds.

    `step` is how long a step lasts at least; `deploy` how long a revision may take to be ready; `unready` how long one
    that was may not be; `trial` how long a canary may wait for a verdict before it counts as held.
    """

    steps: Sequence[int]
    step: int
    deploy: int
    unready: int
    trial: int


def revision(service: str, model_version: str) -> str:
    """Return the name of a model's revision: a DNS label that begins with the service's, the same every time."""
    words = _NOT_IN_A_NAME.sub("-", model_version.lower()).strip("-")[:20].strip("-")
    return f"{service}-{words}-{hashlib.sha256(model_version.encode()).hexdigest()[:8]}".replace("--", "-")


def accept(state: State, model_version: str, lake_version: int, now: Moment) -> State:
    """A model passed the offline gate: it becomes the canary, or waits for the one there is to be judged.

    A model that is known, or knows less of the lake than the stable one, changes nothing.
    """
    release = Release(
        model_version=model_version, revision=revision(state.service, model_version), lake_version=lake_version
    )
    if state.knows(model_version) or (state.stable and lake_version < state.stable.lake_version):
        return state
    canary = state.canary
    if canary is None:
        return _start(state, release, now)
    if lake_version < (state.waiting or canary.release).lake_version:
        return state
    why = f"{canary.release.model_version} is still on trial"
    state = _changed(state, now, "waiting", release, 0, why, waiting=release)
    return _held(state, canary, now) if canary.phase == "held" else state


def observe(state: State, is_ready: bool | None, problem: str, now: Moment, rules: Rules) -> State:
    """Look at the canary's revision: None while it is not ready yet, False once it has failed, True if it serves.

    A revision that serves gets its first users; one that fails, or is not ready for too long, goes back. A canary
    waits no longer for a verdict than it may.
    """
    canary = state.canary
    if canary is None or state.is_paused:
        return state
    if is_ready is False:
        return _back(state, now, ROLLOUT, f"its revision failed: {problem}")
    if canary.phase == "deploying":
        if is_ready:
            return _first_users(state, canary, now, rules)
        late = now - canary.started_at > rules.deploy
        return _back(state, now, ROLLOUT, f"not ready in time: {problem}") if late else state
    if is_ready is None:
        if canary.unready_since is None:
            return state.model_copy(update={"canary": canary.model_copy(update={"unready_since": now})})
        late = now - canary.unready_since > rules.unready
        return _back(state, now, ROLLOUT, f"it does not answer: {problem}") if late else state
    if canary.unready_since is not None:
        canary = canary.model_copy(update={"unready_since": None})
        state = state.model_copy(update={"canary": canary})
    if canary.phase == "serving" and now - canary.started_at > rules.trial:
        return _held(state, canary, now)
    return state


def judge(state: State, decision: Decision, evidence: str, now: Moment, rules: Rules) -> State:
    """Follow a decision: all users, more users, none, or as before. A decision about another model, one that
    knows less than the last, or one that comes while the rollout is paused, changes nothing.
    """
    canary = state.canary
    if canary is None or canary.phase == "deploying" or state.is_paused:
        return state
    if decision.model_version != canary.release.model_version or decision.number <= canary.judged:
        return state
    canary = canary.model_copy(update={"judged": decision.number})
    state = state.model_copy(update={"canary": canary})
    if decision.verdict == "roll_back":
        return _back(state, now, ROLLOUT, decision.reason, evidence)
    if decision.verdict == "promote" and decision.is_safe:
        return _promoted(state, now, ROLLOUT, decision.reason, evidence)
    step = next((percent for percent in rules.steps if percent > canary.percent), None)
    if step is None or canary.phase == "held" or not decision.is_safe or now - canary.periods[-1].since < rules.step:
        return state
    return _weighed(state, canary, step, now, decision.reason, evidence)


def order(state: State, command: Command, who: str, why: str, now: Moment) -> State:
    """Do what a person says. Raises: BadInput if there is nothing to do it with."""
    match command:
        case "promote":
            if state.canary is None or state.canary.phase == "deploying":
                raise BadInput(f"{state.service} has no canary with users; `marquee rollout status` says what it has")
            return _promoted(state, now, who, why)
        case "rollback":
            if state.canary:
                return _back(state, now, who, why)
            if state.stable is None or state.previous is None:
                raise BadInput(f"{state.service} has neither a canary nor a model before its stable one to go back to")
            refused = (*state.refused, state.stable.model_version)
            changes = {"stable": state.previous, "previous": None, "refused": refused}
            return _changed(state, now, "rolled_back", state.stable, 0, why, who, None, **changes)
        case "pause" | "resume":
            if state.is_paused == (command == "pause"):
                return state
            about = state.canary.release if state.canary else state.stable
            percent = state.canary.percent if state.canary else 100
            return _changed(state, now, f"{command}d", about, percent, why, who, None, is_paused=command == "pause")


def shares(state: State, first_revision: str) -> list[Share]:
    """Return how the users shall be shared out; `first_revision` stands for a service that has no model yet."""
    percent = state.canary.percent if state.canary else 0
    live = state.stable.revision if state.stable else first_revision
    wanted = [Share(live, STABLE, 100 - percent)]
    if state.canary:
        return [*wanted, Share(state.canary.release.revision, CANARY, percent)]
    if state.previous:
        return [*wanted, Share(state.previous.revision, PREVIOUS, 0)]
    return wanted


def releases(state: State) -> dict[str, str]:
    """Return the model version of each revision that the state names."""
    found = [state.stable, state.previous, state.canary.release if state.canary else None]
    return {release.revision: release.model_version for release in found if release}


def _start(state: State, release: Release, now: Moment) -> State:
    canary = Canary(release=release, phase="deploying", periods=(Period(since=now, percent=0),))
    return _changed(state, now, "deploying", release, 0, "it passed the offline gate", canary=canary, waiting=None)


def _first_users(state: State, canary: Canary, now: Moment, rules: Rules) -> State:
    if state.stable is None:
        return _promoted(state, now, ROLLOUT, "the first model: there is none to compare it with")
    canary = canary.model_copy(update={"phase": "serving"})
    return _weighed(state, canary, rules.steps[0], now, "its revision is ready and answers as it should", None)


def _weighed(state: State, canary: Canary, percent: int, now: Moment, why: str, evidence: str | None) -> State:
    canary = canary.model_copy(update={"periods": (*canary.periods, Period(since=now, percent=percent))})
    return _changed(state, now, "canary", canary.release, percent, why, ROLLOUT, evidence, canary=canary)


def _held(state: State, canary: Canary, now: Moment) -> State:
    if state.waiting:
        return _back(state, now, ROLLOUT, f"not enough evidence in time, and {state.waiting.model_version} is waiting")
    held = canary.model_copy(update={"phase": "held"})
    return _changed(state, now, "held", canary.release, canary.percent, "not enough evidence in time", canary=held)


def _promoted(state: State, now: Moment, who: str, why: str, evidence: str | None = None) -> State:
    assert state.canary
    release = state.canary.release
    changes = {"stable": release, "previous": state.stable, "canary": None}
    return _next(_changed(state, now, "promoted", release, 100, why, who, evidence, **changes), now)


def _back(state: State, now: Moment, who: str, why: str, evidence: str | None = None) -> State:
    assert state.canary
    release = state.canary.release
    changes = {"canary": None, "refused": (*state.refused, release.model_version)}
    return _next(_changed(state, now, "rolled_back", release, 0, why, who, evidence, **changes), now)


def _next(state: State, now: Moment) -> State:
    """Let the model that waited begin."""
    if state.waiting is None:
        return state
    return _start(state, state.waiting, now)


def _changed(
    state: State,
    now: Moment,
    what: str,
    about: Release | None,
    percent: int,
    why: str,
    who: str = ROLLOUT,
    evidence: str | None = None,
    **fields: object,
) -> State:
    change = Change(
        number=state.number + 1,
        at=now,
        what=what,
        model_version=about.model_version if about else "",
        percent=percent,
        who=who,
        why=why,
        evidence=evidence,
    )
    return state.with_change(change, **fields)

"""When a model gets users, more of them, all of them, or none: every step of a rollout, as pure functions of its state.

    empty → deploying → stable                          the first model has nobody to be compared with
    empty → stable                                      the state was lost, and the router still has users with a model
    stable → deploying → canary (5 %, 25 %, 50 %) → stable      the new one on a verdict `promote`, or the old one again
                                ↘ held ↗                        no verdict for too long: it keeps its users, and says so

Each function returns the state after, which is the state before if nothing is to be done: whoever repeats a step,
or is late, changes nothing. A clock that went back makes a step wait, and never hurries one.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from functions.rollout import meant
from shared.decision import Decision
from shared.errors import BadInput
from shared.rollout import Canary, Change, Moment, Period, Release, State, What

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
    words = _NOT_IN_A_NAME.sub("-", model_version.lower()).strip("-")[:20]
    digest = hashlib.sha256(model_version.encode()).hexdigest()[:8]
    return "-".join(filter(None, [service, words.strip("-"), digest]))


def refusal(state: State, model_version: str, lake_version: int) -> str:
    """Return why a model is not accepted, nothing if it is: it knows less of the lake, or had or has its turn."""
    canary = state.canary.release if state.canary else None
    for where, there in (("stable", state.stable), ("on trial", canary), ("waiting", state.waiting)):
        if there and there.model_version == model_version:
            return f"it is {where} already"
    if lake_version < state.lake_version:
        return f"it knows the lake up to version {lake_version}, and one that was accepted up to {state.lake_version}"
    return "it was accepted before" if model_version in state.accepted else ""


def accept(state: State, model_version: str, lake_version: int, now: Moment) -> State:
    """A model passed the offline gate: it becomes the canary, or waits for the one there is to be judged.

    One for which there is a `refusal` changes nothing. Its revision runs the image that the stable one runs when it
    begins.
    """
    if refusal(state, model_version, lake_version):
        return state
    accepted = (model_version,) if lake_version > state.lake_version else (*state.accepted, model_version)
    state = state.model_copy(update={"lake_version": lake_version, "accepted": accepted})
    name = revision(state.service, model_version)
    release = Release(model_version=model_version, revision=name, lake_version=lake_version)
    if state.canary is None:
        return _start(state, release, now)
    why = f"{state.canary.release.model_version} is still on trial"
    return _changed(state, now, "waiting", release, 0, why, waiting=release)


def is_new(state: State) -> bool:
    """Say whether no model was ever accepted, as far as the state knows."""
    return not (state.stable or state.canary or state.waiting or state.accepted)


def recover(state: State, revision: str, model_version: str, lake_version: int, now: Moment) -> State:
    """Take the model that the router gives most of the users for the stable one, if the state is new.

    So a state that was lost is no state of a service without a model, in which the next one would need no trial.
    """
    if not is_new(state):
        return state
    stable = Release(model_version=model_version, revision=revision, lake_version=lake_version)
    why = "no state of the service is left, and the router gives this model its users"
    state = state.model_copy(update={"lake_version": lake_version, "accepted": (model_version,)})
    return _changed(state, now, "adopted", stable, 100, why, stable=stable, stable_since=now)


def release(state: State, image: str, who: str, why: str, now: Moment) -> State:
    """Let the stable model have a trial with other code, as a model has it.

    Raises: BadInput if there is no stable model, a canary is on trial, or the stable one runs that image.
    """
    if state.stable is None:
        raise BadInput(f"{state.service} has no stable model yet; the first one runs the image of its Service")
    if state.canary:
        raise BadInput(
            f"{state.canary.release.model_version} of {state.service} is on trial; let it end, or roll it back"
        )
    if state.stable.image == image:
        raise BadInput(f"{state.service} runs {image} already")
    name = revision(state.service, f"{state.stable.model_version}@{image}#{state.number}")  # each trial is a new one
    return _start(state, state.stable.model_copy(update={"revision": name, "image": image}), now, who, why)


def adopt(state: State, users: Mapping[str, int], who: str, now: Moment) -> State:
    """Follow a person who shared out the users in the Service itself, in percent by revision.

    What is no order about a canary with users, nor one to go back, is overruled: it is noted, and not followed.
    """
    canary, stable, previous = state.canary, state.stable, state.previous
    if users == state.users or stable is None:
        return state
    why = "the traffic of the Service was changed by hand"
    if canary and canary.phase != "deploying" and users.keys() <= {stable.revision, canary.release.revision}:
        match users.get(canary.release.revision, 0):
            case 0:
                return _back(state, now, who, why)
            case 100:
                return _promoted(state, now, who, why)
            case percent:
                return _weighed(state, canary, percent, now, why, who=who)
    if canary is None and previous and users == {previous.revision: 100}:
        return order(state, "rollback", who, why, now, stable.revision)
    shared = ", ".join(f"{percent} % to {name}" for name, percent in sorted(users.items()))
    why = f"{why} to {shared}: only a canary with users can be given more or fewer, and only the model before come back"
    last = state.log[-1] if state.log else None
    if last and (last.what, last.why) == ("overruled", why):
        return state
    return _changed(state, now, "overruled", stable, state.users[stable.revision], why, who)


def observe(state: State, is_ready: bool | None, problem: str, now: Moment, rules: Rules) -> State:
    """Look at the canary's revision: None while it is not ready yet, False once it has failed, True if it serves.

    A revision that serves gets its first users; one that fails, or is not ready for too long, goes back. A canary
    waits no longer for a verdict than it may, and then makes room for the model that waits, if one does. In a pause it
    is only noted whether the revision is ready.
    """
    canary = state.canary
    if canary is None:
        return state
    if state.is_paused:
        ready = canary.model_copy(update={"is_ready": canary.phase == "deploying" and is_ready is True})
        return state.model_copy(update={"canary": ready})
    if is_ready is False:
        return _back(state, now, ROLLOUT, f"its revision failed: {problem}")
    if canary.phase == "deploying":
        if is_ready:
            return _first_users(state, canary, now, rules)
        late = now - canary.started_at > rules.deploy
        return _back(state, now, ROLLOUT, f"not ready in time: {problem}") if late else state
    since = None if is_ready else now if canary.unready_since is None else min(canary.unready_since, now)
    if since is not None and now - since > rules.unready:
        return _back(state, now, ROLLOUT, f"it does not answer: {problem}")
    canary = canary.model_copy(update={"unready_since": since})
    state = state.model_copy(update={"canary": canary})
    if canary.phase == "held" or now - canary.started_at > rules.trial:
        return _out_of_time(state, canary, now)
    return state


def judge(state: State, decision: Decision, evidence: str, now: Moment, rules: Rules) -> State:
    """Follow a decision: all users, more users, none, or as before.

    A decision about another revision, one that knows no more than the last, or one that comes while the rollout is
    paused, changes nothing; a canary that does not answer gets no more users.
    """
    canary = state.canary
    if canary is None or canary.phase == "deploying" or state.is_paused:
        return state
    if decision.revision != canary.release.revision or decision.number <= canary.judged:
        return state
    canary = canary.model_copy(update={"judged": decision.number})
    state = state.model_copy(update={"canary": canary})
    if decision.verdict == "roll_back":
        return _back(state, now, ROLLOUT, decision.reason, evidence)
    if not decision.is_safe or canary.unready_since is not None:
        return state
    if decision.verdict == "promote":
        return _promoted(state, now, ROLLOUT, decision.reason, evidence)
    step = next((percent for percent in rules.steps if percent > canary.percent), None)
    if step is None or canary.phase == "held" or now - canary.periods[-1].since < rules.step:
        return state
    return _weighed(state, canary, step, now, decision.reason, evidence)


def routed(state: State, number: int, now: Moment) -> State:
    """Users were seen shared out as they shall be after the change of that number; only the first time is noted."""
    if state.number != number or state.routed_at is not None:
        return state
    return state.model_copy(update={"routed_at": max([now, *(change.at for change in state.log[-1:])])})


def order(state: State, command: Command, who: str, why: str, now: Moment, model: str | None = None) -> State:
    """Do what a person says, about the model that they name; pausing and resuming are about the service.

    Raises: BadInput if there is nothing to do it with, or it would be about another model.
    """
    match command:
        case "promote":
            if state.canary is None or state.canary.phase == "deploying":
                raise BadInput(f"{state.service} has no canary with users that could be promoted")
            meant.check(state, command, model, why)
            return _promoted(state, now, who, why)
        case "rollback":
            if state.canary is None and (state.stable is None or state.previous is None):
                raise BadInput(f"{state.service} has neither a canary nor a model before its stable one to go back to")
            meant.check(state, command, model, why)
            if state.canary:
                return _back(state, now, who, why)
            return _changed(
                state,
                now,
                "rolled_back",
                state.stable,
                0,
                why,
                who,
                stable=state.previous,
                stable_since=now,
                previous=None,
            )
        case "pause" | "resume":
            if state.is_paused == (command == "pause"):
                return state
            about = state.canary.release if state.canary else state.stable
            percent = state.canary.percent if state.canary else 100 if state.stable else 0
            what: What = "paused" if command == "pause" else "resumed"
            return _changed(state, now, what, about, percent, why, who, is_paused=command == "pause")


def _start(
    state: State, release: Release, now: Moment, who: str = ROLLOUT, why: str = "it passed the offline gate"
) -> State:
    if state.stable and not release.image:
        release = release.model_copy(update={"image": state.stable.image})
    canary = Canary(release=release, phase="deploying", periods=(Period(since=now, percent=0),))
    return _changed(state, now, "deploying", release, 0, why, who, canary=canary, waiting=None)


def _first_users(state: State, canary: Canary, now: Moment, rules: Rules) -> State:
    if state.stable is None:
        return _promoted(state, now, ROLLOUT, "the first model: there is none to compare it with")
    canary = canary.model_copy(update={"phase": "serving"})
    return _weighed(state, canary, rules.steps[0], now, "its revision is ready and answers as it should")


def _weighed(
    state: State,
    canary: Canary,
    percent: int,
    now: Moment,
    why: str,
    evidence: str | None = None,
    who: str = ROLLOUT,
) -> State:
    since = max(now, canary.periods[-1].since)
    canary = canary.model_copy(update={"periods": (*canary.periods, Period(since=since, percent=percent))})
    return _changed(state, now, "canary", canary.release, percent, why, who, evidence, canary=canary)


def _out_of_time(state: State, canary: Canary, now: Moment) -> State:
    if state.waiting:
        return _back(state, now, ROLLOUT, f"not enough evidence in time, and {state.waiting.model_version} is waiting")
    if canary.phase == "held":
        return state
    held = canary.model_copy(update={"phase": "held"})
    return _changed(state, now, "held", canary.release, canary.percent, "not enough evidence in time", canary=held)


def _promoted(state: State, now: Moment, who: str, why: str, evidence: str | None = None) -> State:
    assert state.canary
    release = state.canary.release
    changes = {"stable": release, "stable_since": now, "previous": state.stable, "canary": None}
    return _next(_changed(state, now, "promoted", release, 100, why, who, evidence, **changes), now)


def _back(state: State, now: Moment, who: str, why: str, evidence: str | None = None) -> State:
    assert state.canary
    return _next(_changed(state, now, "rolled_back", state.canary.release, 0, why, who, evidence, canary=None), now)


def _next(state: State, now: Moment) -> State:
    """Let the model that waited begin."""
    return _start(state, state.waiting, now) if state.waiting else state


def _changed(
    state: State,
    now: Moment,
    what: What,
    about: Release | None,
    percent: int,
    why: str,
    who: str = ROLLOUT,
    evidence: str | None = None,
    **fields: Any,
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

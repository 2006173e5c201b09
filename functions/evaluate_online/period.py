"""Which stretch of time is looked at, and with which share of alpha."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from shared.rollout import Canary, State


class Period(NamedTuple):
    """From a moment on, and before another; microseconds since 1970, UTC."""

    since: int
    until: int


def settling(poll_seconds: float) -> int:
    """Return how long it takes until every copy of `recommend` has seen a change of weights, in microseconds."""
    return round(3 * poll_seconds * 1_000_000)


def on_trial(state: State) -> Canary | None:
    """Return the canary of a service if it has users, also while it is held or the rollout is paused."""
    return state.canary if state.canary and state.canary.percent else None


def first(state: State, now: int, settle: int, length: int) -> Period:
    """Return the first days since the router follows the weights of a service, `length` of them.

    They begin `settle` later, when every copy of `recommend` has seen the weights, and not before `now` while the
    router does not follow. Bounds that hold at every look need evidence that only grows, so a canary is never judged by
    the last days.
    """
    since = (now if state.routed_at is None else state.routed_at) + settle
    return Period(since, since + length)


def last(state: State, now: int, settle: int, length: int) -> Period:
    """Return the last days of a service, as far back as its weights stood still."""
    since = max(now - length, first(state, now, settle, length).since)
    return Period(since, since + length)


def compared(states: Iterable[State], weighed: int, now: int, settle: int, length: int) -> Period:
    """Return the days by which services are compared, when all weights stand still, that between them since `weighed`.

    One such period follows another, each an experiment of its own: its evidence only grows, and people's taste and
    the models that learn from it may be others in the next.
    """
    still = max(weighed + settle, *(first(state, now, settle, length).since for state in states))
    since = still + max(now - still, 0) // length * length
    return Period(since, since + length)


def share_of_alpha(percent: int, steps: Sequence[int]) -> float:
    """Return the share of alpha for a canary's step: each step is an experiment of its own.

    A user who comes in two steps is in the same arm for the same reasons, so their outcomes must not be added up as if
    they were two users. Alpha is shared out by what a step can tell, w (1 - w) with a share w of the users; a weight
    that is no step, as after a change of settings, has the least share.
    """
    tells = {step: step * (100 - step) for step in steps}
    return tells.get(percent, min(tells.values())) / sum(tells.values())

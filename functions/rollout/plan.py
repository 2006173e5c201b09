"""What to ask of a service's revisions next, so that they become what its state says, pure.

Whoever routes lets users move once every revision among the shares is ready. So users move first, whatever else is to
be done: going back must wait for nothing. A revision that is not there is made without users.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from shared.ports import Deployed, Share
from shared.rollout import Release, State

STABLE: Final = "stable"
CANARY: Final = "canary"
PREVIOUS: Final = "previous"


class Step(NamedTuple):
    """Shares to ask for, and with them the revision of a model to make, if one is missing."""

    shares: Sequence[Share]
    made: Release | None = None


def plan(state: State, deployed: Deployed) -> Step | None:
    """Return the next step, None if all is as it shall be."""
    wanted = shares(state, deployed)
    if not wanted:
        return None
    missing = [share for share in wanted if share.revision not in deployed.ready]
    if missing and missing[0] == wanted[0]:
        return Step([wanted[0]._replace(percent=100)], _release(state, wanted[0]))
    first, *others = (share for share in wanted if share not in missing)
    there = [first._replace(percent=100 - sum(share.percent for share in others)), *others]
    if _users(there) != _users(deployed.shares):
        return Step([share for share in there if share.percent or deployed.ready[share.revision]])
    if missing:
        return Step([*there, missing[0]._replace(percent=0)], _release(state, missing[0]))
    is_so = not deployed.by_hand and set(wanted) == set(deployed.shares) and len(wanted) == len(deployed.ready)
    return None if is_so else Step(wanted)


def is_routed(state: State, deployed: Deployed) -> bool:
    """Say whether the router shares out the users as the state says, which needs a stable model."""
    return state.stable is not None and _users(shares(state, deployed)) == _users(deployed.shares)


def most_used(deployed: Deployed) -> str | None:
    """Return the revision with most of the users, of equals the one that is called stable; None if there is none."""
    there = (share for share in deployed.shares if share.revision in deployed.ready and share.percent)
    most = max(there, key=lambda share: (share.percent, share.tag == STABLE), default=None)
    return most.revision if most else None


def shares(state: State, deployed: Deployed) -> list[Share]:
    """Return how the users shall be shared out in the end.

    Before there is a stable model, the revision with most of the users keeps them. If there is none either, as in a
    service whose first revision has no model to be ready with, the first model's is the only one.
    """
    canary = state.canary.release.revision if state.canary else None
    percent = state.canary.percent if state.canary else 0
    live = state.stable.revision if state.stable else most_used(deployed) or canary
    if live is None:
        return []
    found = [Share(live, STABLE, 100 - percent)]
    if canary and canary != live:
        found.append(Share(canary, CANARY, percent))
    if state.previous and not canary:
        found.append(Share(state.previous.revision, PREVIOUS, 0))
    return found


def _users(found: Sequence[Share]) -> set[Share]:
    return {share for share in found if share.percent}


def _release(state: State, share: Share) -> Release:
    """Return the model of a share whose revision is missing, so that the state must name it."""
    releases = [state.stable, state.previous, state.canary.release if state.canary else None]
    return next(each for each in releases if each and each.revision == share.revision)

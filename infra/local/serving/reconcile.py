"""The next small change towards what is wanted, pure: who starts, who gets traffic, who goes. Make before break."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from infra.local.serving.state import PROCESSES, ROOM, Revision, Service

READY_SECONDS: Final = 60
"""How long a revision may take to be ready before it counts as failed; it goes on trying."""

SILENT_SECONDS: Final = 5
"""How long none of the processes of a ready revision may answer before nobody knows whether it is ready."""

DRAIN_SECONDS: Final = 3
"""How long the processes of a revision without traffic stay, for requests that are under way."""


class Seen(NamedTuple):
    """How a process does: the supervisor's word, and whether it says that it is ready, or why not."""

    state: str
    ready: bool
    reason: str


def step(service: Service, seen: Mapping[int, Seen], now: float) -> Service:
    """Return the service after what was seen of its processes; those that nobody knows are not in `seen`.

    Traffic becomes what is wanted once each revision in it is ready, or has traffic already.
    """
    looked = [_look(each, each.name in service.named, seen, now) for each in service.revisions]
    able = {each.name for each in looked if each.ready} | {share.revision for share in service.routed}
    routed = service.wanted if able.issuperset(share.revision for share in service.wanted) else service.routed
    after = service.model_copy(update={"routed": routed})
    revisions = [
        each
        for each in _place(looked, after.named, now)
        if each.processes or each.name in {*after.named, service.template.name}
    ]
    after = after.model_copy(update={"revisions": tuple(revisions)})
    return service if after == service else after.model_copy(update={"version": service.version + 1})


def is_settled(service: Service) -> bool:
    """Say whether nothing is left to do: what has traffic is ready, as far as is known, and the rest rests."""

    def rests(revision: Revision) -> bool:
        if revision.name in service.named:
            return revision.phase == "running" and bool(revision.ready)
        return revision.phase == "idle" and revision.name == service.template.name

    return service.wanted == service.routed and all(map(rests, service.revisions))


def _look(revision: Revision, named: bool, seen: Mapping[int, Seen], now: float) -> Revision:
    match revision.phase:
        case "running" if not named:
            return _in_phase(revision, "draining", now)
        case "running":
            processes = [seen.get(number) for number in revision.processes]
            if revision.ready or revision.silent_since is not None:
                return _listened_to(revision, processes, now)
            ready, reason = _readiness(processes, now - revision.since)
            return revision.model_copy(update={"ready": ready, "reason": reason})
        case "draining" if named:
            return _in_phase(revision, "running", now)
        case "draining" if now - revision.since >= DRAIN_SECONDS:
            return _in_phase(revision, "stopping", now, ready=None, reason="its processes stop")
        case "stopping" if not seen.keys() & set(revision.processes):
            return _in_phase(revision, "idle", now, processes=(), reason="no traffic names it")
    return revision


def _readiness(processes: Sequence[Seen | None], seconds: float) -> tuple[bool | None, str]:
    """Return whether a revision is ready, and what its processes say if not."""
    found = [each for each in processes if each is not None]
    if len(found) == len(processes) and all(each.ready for each in found):
        return True, ""
    reasons = _reasons(found) or "its processes start"
    if any(each.state == "FATAL" for each in found):
        return False, reasons
    return (False, f"not ready within {READY_SECONDS} s: {reasons}") if seconds > READY_SECONDS else (None, reasons)


def _listened_to(revision: Revision, processes: Sequence[Seen | None], now: float) -> Revision:
    """Return a revision that was ready: it is, while one of its processes answers. Its traffic stays in any case."""
    found = [each for each in processes if each is not None]
    if any(each.ready for each in found):
        return revision.model_copy(update={"ready": True, "silent_since": None, "reason": ""})
    since = now if revision.silent_since is None else revision.silent_since
    if now - since < SILENT_SECONDS:
        return revision.model_copy(update={"silent_since": since})
    reason = f"it does not answer: {_reasons(found) or 'its processes are not there'}"
    return revision.model_copy(update={"ready": None, "silent_since": since, "reason": reason})


def _reasons(found: Sequence[Seen]) -> str:
    return "; ".join(sorted({each.reason for each in found if not each.ready}))


def _place(revisions: Sequence[Revision], named: set[str], now: float) -> list[Revision]:
    """Give processes to the revisions that are named and have none, the oldest first, as far as there are any."""
    free = set(range(1, ROOM * PROCESSES + 1)) - {number for each in revisions for number in each.processes}
    placed = []
    for each in revisions:
        if each.phase == "idle" and each.name in named:
            if len(free) >= PROCESSES:
                mine = tuple(sorted(free)[:PROCESSES])
                free -= set(mine)
                each = _in_phase(each, "running", now, processes=mine, reason="its processes start")
            else:
                each = each.model_copy(update={"reason": "it waits for the processes of another one to go"})
        placed.append(each)
    return placed


def _in_phase(revision: Revision, phase: str, now: float, **more: object) -> Revision:
    return revision.model_copy(update={"phase": phase, "since": now, "silent_since": None, **more})

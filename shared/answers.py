"""Which served list an answer was: what somebody knows of it, beside the rows of the lake."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from shared.errors import BadInput
from shared.lines import Limits, is_user_id, parse
from shared.rows import Place

COLUMNS: Final = (
    *("topic", "partition", "offset", "ingested_at", "time", "user_id", "movies", "latency_ms"),
    *("request_id", "arm", "model", "revision", "rung"),
)
"""What the lake has of a served list."""

NEAR: Final = 60_000_000
"""How far apart the site's line and the served list may be, in microseconds, while the clocks are right."""

_MOST: Final = 5
_LINE: Final = ",recommendation request "


@dataclass(frozen=True)
class Asked:
    """What is known of an answer: its request, or whose it was and when (microseconds since 1970), perhaps the list.

    `problem` is what the site logged instead of a list.
    """

    user_id: str = ""
    time: int | None = None
    movies: tuple[str, ...] = ()
    request_id: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Served:
    """A list as `recommend` served it; times are microseconds since 1970."""

    topic: str
    partition: int
    offset: int
    ingested_at: int
    time: int
    user_id: str
    movies: tuple[str, ...]
    latency_ms: float | None
    request_id: str
    arm: str
    model: str
    revision: str
    rung: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Served":
        """Return a row of the lake with `COLUMNS`, its moments as numbers."""
        return cls(**{**row, "movies": tuple(row["movies"] or ())})


class Fits(NamedTuple):
    """The served lists that may be the answer, the likeliest first, and what is to be said of that, if anything."""

    lists: Sequence[Served]
    note: str = ""


def asked(text: str, now: int, limits: Limits) -> Asked:
    """Return what a line of the site's log, or a request id, says of an answer. Raises: BadInput if it says nothing."""
    text = text.strip()
    if not text:
        raise BadInput("neither a line of the site's log nor a request id")
    if "," not in text:
        return Asked(request_id=text)
    row = parse(text.encode(), Place("", 0, 0, now), limits)
    if row.kind != "request" or row.time is None or row.user_id is None:
        what = row.reason if row.kind == "quarantine" else f"it tells of a {row.kind}"
        raise BadInput(f"no log line of an answer ({what}): <time>,<userid>{_LINE}<server>, status …")
    problem = "" if row.movies else f"status {row.status}, {row.error}"
    return Asked(row.user_id, row.time, tuple(row.movies or ()), problem=problem)


def of_user(user_id: str, time: int) -> Asked:
    """Return what is known of an answer by whose it was, and about when. Raises: BadInput."""
    if not is_user_id(user_id):
        raise BadInput(f"{user_id[:40]!r} is no user id: it is a whole number from 1, below 10^18")
    return Asked(user_id, time)


def fits(lists: Iterable[Served], known: Asked) -> Fits:
    """Return which served lists an answer may be.

    A request id is one request's, though the router may have asked twice. A line's list is the served one with the same
    movies about then; if the clocks differ, the nearest with the same movies; several that fit are all returned.
    """
    if known.request_id:
        found = sorted(lists, key=lambda each: each.time)
        return Fits(found, _several(found, "were served under this request id: it was asked again"))
    moment = known.time or 0
    theirs = sorted(
        (each for each in lists if each.user_id == known.user_id),
        key=lambda each: (abs(each.time - moment), each.offset),
    )
    near = [each for each in theirs if abs(each.time - moment) <= NEAR]
    if not known.movies:
        said = f"the site got no list ({known.problem}); " if known.problem else ""
        return Fits(near, said + _several(near, "were served to this user within a minute of it"))
    same = [each for each in near if each.movies == known.movies]
    if same:
        return Fits(same, _several(same, "fit: the user, the movies and the minute are the same"))
    later = [each for each in theirs if each.movies == known.movies][:_MOST]
    if later:
        seconds = (moment - later[0].time) / 1e6
        several = _several(later, "have these movies; the nearest comes first")
        return Fits(
            later, f"the site's clock is {seconds:+,.0f} s beside ours, or this is another list. {several}".strip()
        )
    return Fits(
        near, "none of the lists served to this user has these movies; these were served about then" if near else ""
    )


def _several(lists: Sequence[Served], what: str) -> str:
    return f"{len(lists)} lists {what}" if len(lists) > 1 else ""

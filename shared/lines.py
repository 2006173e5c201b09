"""The site's log lines: bytes in, one row out, and a line that fits nothing is a row too.

<time>,<userid>,GET /data/m/<movieid>/<minute>.mpg
<time>,<userid>,GET /rate/<movieid>=<rating>
<time>,<userid>,recommendation request <server>, status <code>, result: <id>, <id>, …, <ms> ms
<time>,<userid>,GET /create_account
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.rows import Place, Row

USER_ID: Final = "[1-9][0-9]{0,17}"
"""The pattern of a user id: a whole number from 1, below 10^18, written plainly."""

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{3,9})?)?(Z?)", re.ASCII)
_USER: Final = re.compile(USER_ID)
_MOVIE: Final = re.compile(r"\w[^\s\x00-\x1f\x7f/\\,=<>\"\u200b-\u202e\u2060-\u206f\ufeff\ufffe\uffff]{0,255}")
_MINUTE: Final = re.compile(r"\d{1,5}", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,4}(?:\.\d{1,4})?", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_REQUEST: Final = re.compile(
    r"recommendation request ([^\s,]+), status (\d{1,3}), result:(.*), ?(\d{1,9}(?:\.\d{1,6})?) ms", re.ASCII
)
_SAYS_USER: Final = re.compile(r'"user_id"\s*:\s*"?\s*(\d+)', re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class _Unreadable(Exception):
    """A line that fits no form; the message is the reason it is quarantined for."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a line may say: the scale of ratings, and the times that can be true."""

    rating_min: float = 0.5
    rating_max: float = 5.0
    rating_step: float = 0.5
    earliest: int = 631_152_000_000_000  # 1990-01-01, in microseconds since 1970
    max_ahead: int = 86_400_000_000  # a day, in microseconds: clocks are wrong by hours, not by years


def parse(line: bytes, place: Place, limits: Limits) -> Row:
    """Return the row that a line says, or a row of kind `quarantine` with its bytes and the reason.

    A line break at the end is allowed, and nothing else that is not in the forms above.
    """
    try:
        return _parse(line, place, limits)
    except _Unreadable as error:
        return quarantine(line, place, str(error))


def quarantine(raw: bytes, place: Place, reason: str) -> Row:
    """Return the row that keeps a record which can never be understood."""
    return Row("quarantine", *place, time=place.ingested_at, reason=reason, raw=raw)


def owner(raw: bytes) -> str | None:
    """Return whose record it is that could not be understood, None if its bytes do not say it.

    A line says it in its second field, an event in its `user_id`.
    """
    text = raw.decode(errors="replace")
    fields = text.split(",", 2)
    said = _SAYS_USER.search(text)
    user_id = said[1] if said else fields[1].strip() if len(fields) > 1 else ""
    return user_id if is_user_id(user_id) else None


def is_user_id(text: str) -> bool:
    """Say whether text is a user id of the site: a whole number from 1, below 10^18, written plainly."""
    return _USER.fullmatch(text) is not None


def is_movie_id(text: str) -> bool:
    """Say whether text is a movie id: `toy+story+1995` or a number, no space, slash, comma or control."""
    return _MOVIE.fullmatch(text) is not None


def _parse(line: bytes, place: Place, limits: Limits) -> Row:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise _Unreadable("not_utf8") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise _Unreadable("empty")
    if _CONTROL.search(text):
        raise _Unreadable("control_character")
    try:
        stamp, user_id, what = text.split(",", 2)
    except ValueError:
        raise _Unreadable("not_a_log_line") from None
    time = _microseconds(stamp)
    if not limits.earliest <= time <= place.ingested_at + limits.max_ahead:
        raise _Unreadable("time_out_of_range")
    if not _USER.fullmatch(user_id):
        raise _Unreadable("bad_user_id")
    if what.startswith("GET /data/m/"):
        return _watch(what[12:], time, user_id, place)
    if what.startswith("GET /rate/"):
        return _rating(what[10:], time, user_id, place, limits)
    if what == "GET /create_account":
        return Row("account", *place, time, user_id)
    if what.startswith("recommendation request "):
        return _request(what, time, user_id, place)
    raise _Unreadable("unknown_request")


def _microseconds(stamp: str) -> int:
    match = _TIME.fullmatch(stamp)
    if match is None:
        raise _Unreadable("bad_time")
    try:
        moment = datetime.fromisoformat(stamp if match[1] else stamp + "Z")
    except ValueError:
        raise _Unreadable("bad_time") from None
    return (moment - _EPOCH) // _MICROSECOND


def _watch(what: str, time: int, user_id: str, place: Place) -> Row:
    movie_id, slash, file = what.partition("/")
    minute = file.removesuffix(".mpg")
    if not slash or minute == file or not _MINUTE.fullmatch(minute):
        raise _Unreadable("bad_minute")
    return Row("watch", *place, time, user_id, _movie(movie_id), minute=int(minute))


def _rating(what: str, time: int, user_id: str, place: Place, limits: Limits) -> Row:
    movie_id, equals, text = what.rpartition("=")
    if not equals or not _NUMBER.fullmatch(text):
        raise _Unreadable("bad_rating")
    rating = float(text)
    steps = (rating - limits.rating_min) / limits.rating_step
    if not limits.rating_min <= rating <= limits.rating_max or abs(steps - round(steps)) > 1e-6:
        raise _Unreadable("rating_outside_scale")
    return Row("rating", *place, time, user_id, _movie(movie_id), rating=rating)


def _request(what: str, time: int, user_id: str, place: Place) -> Row:
    match = _REQUEST.fullmatch(what)
    if match is None:
        raise _Unreadable("bad_recommendation_request")
    server, code, result, milliseconds = match.groups()
    status = int(code)
    movies = [name.strip(" ") for name in result.split(",")]
    is_list = status == 200 and all(map(is_movie_id, movies))
    return Row(
        "request",
        *place,
        time,
        user_id,
        server=server,
        status=status,
        movies=movies if is_list else [],
        latency_ms=float(milliseconds),
        error=None if is_list else result.strip(" "),
    )


def _movie(movie_id: str) -> str:
    if not is_movie_id(movie_id):
        raise _Unreadable("bad_movie_id")
    return movie_id

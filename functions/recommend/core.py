"""What a request asks, whom of the models, in which form, and what is left when none of them can answer."""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from shared import asking, keys
from shared.errors import BadInput
from shared.events import Algorithm
from shared.lines import is_user_id
from shared.ports import Target
from shared.recommendation import N_MOST, Rung

Name = TypeVar("Name", bound=str)

_PLAIN: Final = re.compile(r"[\x21-\x7e]{1,128}")
_BUCKETS: Final = 2**64
_ACCEPT_MOST: Final = 1_000
_RANGES_MOST: Final = 32
_WEIGHT: Final = re.compile(r"q=([01](?:\.\d{0,3})?)")


@dataclass(frozen=True)
class Ask:
    """A request that makes sense: for whom, how many movies, and which ones not."""

    user_id: str
    n: int = N_MOST
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """A list of movies, best first, and what made it."""

    movies: Sequence[str]
    rung: Rung
    model: str
    revision: str


def ask(user_id: str, n: Sequence[str], exclude: Sequence[str]) -> Ask:
    """Return what the parts of a URL ask for; `n` and `exclude` hold every value that was given.

    Raises: BadInput saying which part is wrong, and what would be right.
    """
    check_user(user_id)
    return Ask(user_id, asking.number(n), asking.excluded(exclude))


def check_user(user_id: str) -> None:
    """Raise BadInput if this can be nobody's id."""
    if not is_user_id(user_id):
        raise BadInput(f"{user_id[:40]!r} is not a user id: a whole number from 1, below 10^18")


def is_plain(text: str) -> bool:
    """Say whether a text of somebody else, such as a caller's id of a request, can stand in a header and a log line."""
    return _PLAIN.fullmatch(text) is not None


def prefers_json(accept: str) -> bool:
    """Say whether an Accept header wants JSON more than plain text (RFC 9110, section 12.5.1).

    Equally wanted, the one that is named more exactly wins, then the one named first; then text. Of a header that is
    longer than any needs to be the beginning counts: nobody shall keep the event loop busy with one.
    """
    if len(accept) > _ACCEPT_MOST:
        accept = accept[:_ACCEPT_MOST].rpartition(",")[0]
    ranges = [_range(text) for text in accept.lower().split(",", _RANGES_MOST)[:_RANGES_MOST]]
    return _wanted("application/json", ranges) > _wanted("text/plain", ranges)


def _range(text: str) -> tuple[str, float]:
    """Return a media range of an Accept header, and how much it is wanted."""
    name, *parameters = (part.strip() for part in text.split(";"))
    weights = [float(match[1]) for match in map(_WEIGHT.fullmatch, parameters) if match]
    return name, weights[0] if weights else 1.0


def _wanted(media_type: str, ranges: Sequence[tuple[str, float]]) -> tuple[float, int, int]:
    """Return the weight of the most exact range that holds a type, how exact it is, and how early; all 0 for none."""
    exact = {media_type: 2, f"{media_type.partition('/')[0]}/*": 1, "*/*": 0}
    found = [(exact[name], -place, q) for place, (name, q) in enumerate(ranges) if name in exact]
    exactness, place, q = max(found, default=(0, 0, 0.0))
    return (q, exactness, place) if q else (0.0, 0, 0)


class Arm(NamedTuple):
    """What a user is dealt: an algorithm, and one of the targets of its service."""

    algorithm: Algorithm
    target: Target

    @property
    def name(self) -> str:
        """The name in headers, metrics and records: `svd:stable`."""
        return f"{self.algorithm}:{self.target.tag}"


def arms(
    user_id: str, salt: str, weights: Mapping[Algorithm, int], targets: Mapping[Algorithm, Sequence[Target]]
) -> list[Arm]:
    """Return a user's arm, and after it those that the user would have with the other algorithms.

    Targets are dealt in the order of their revisions' names, which neither the router's order nor a new tag changes.
    """
    mine = deal(user_id, salt, weights)
    found = []
    for algorithm in sorted(weights, key=lambda each: each != mine):
        service = keys.score_service(algorithm)
        of_revision = {target.revision: target for target in sorted(targets[algorithm], key=lambda each: each.revision)}
        shares = {name: target.percent for name, target in of_revision.items()}
        found.append(Arm(algorithm, of_revision[deal(f"{service}/{user_id}", salt, shares)]))
    return found


def deal(who: str, salt: str, weights: Mapping[Name, int]) -> Name:
    """Return who gets what, the same for as long as the weights stand.

    Everybody is a point on a line as long as the weights together, each name a stretch of it in the order given, so
    a change of weights moves only those between an old border and the new: of two names, exactly those it must.
    Weights are whole numbers from 0, in any unit, not all 0.
    """
    digest = hashlib.blake2b(who.encode(), key=salt.encode()[:64], digest_size=8).digest()
    point = int.from_bytes(digest, "big") * sum(weights.values())
    border = 0
    for name, weight in weights.items():
        border += weight
        if point < border * _BUCKETS:
            return name
    raise ValueError("weights are all 0")


def popular(ranked: Sequence[str], n: int, exclude: Collection[str]) -> list[str]:
    """Return the n first popular movies that are not excluded; of a list that is all excluded, the first."""
    wanted = [movie for movie in ranked if movie not in exclude]
    return (wanted or list(ranked))[:n]

"""What a request for recommendations asks, who answers it, and what is left when nobody can."""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.errors import BadInput
from shared.lines import is_movie_id, is_user_id
from shared.recommendation import N_MOST, Rung

EXCLUDE_MOST: Final = 100

_REQUEST_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_BUCKETS: Final = 2**64


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
    if not is_user_id(user_id):
        raise BadInput(f"{user_id[:40]!r} is not a user id: a whole number from 1, below 10^18")
    if len(n) > 1 or (n and not (n[0].isascii() and n[0].isdigit() and len(n[0]) < 3 and 1 <= int(n[0]) <= N_MOST)):
        raise BadInput(f"n is one whole number from 1 to {N_MOST}")
    movies = tuple(dict.fromkeys(movie for value in exclude for movie in value.split(",") if movie))
    if len(movies) > EXCLUDE_MOST:
        raise BadInput(f"exclude lists {len(movies)} movies; at most {EXCLUDE_MOST} are allowed")
    for movie in movies:
        if not is_movie_id(movie):
            raise BadInput(f"exclude: {movie[:40]!r} is not a movie id")
    return Ask(user_id, int(n[0]) if n else N_MOST, movies)


def is_request_id(text: str) -> bool:
    """Say whether a caller's id of a request can stand in a header and a log line."""
    return _REQUEST_ID.fullmatch(text) is not None


def arm(user_id: str, salt: str, weights: Mapping[str, int]) -> str:
    """Return the arm of a user, the same one for as long as the weights stand.

    The user is a point on a line as long as the weights together, each arm a stretch of it in the order given,
    so a change of weights moves only the users between the old border and the new. Weights are whole
    numbers from 0, in any unit, not all 0.
    """
    digest = hashlib.blake2b(user_id.encode(), key=salt.encode()[:64], digest_size=8).digest()
    point = int.from_bytes(digest, "big") * sum(weights.values())
    border = 0
    for name, weight in weights.items():
        border += weight
        if point < border * _BUCKETS:
            return name
    raise ValueError("weights are all 0")


def popular(ranked: Sequence[str], n: int, exclude: Collection[str]) -> list[str]:
    """Return the n first movies of the popularity list that are not excluded."""
    wanted = (movie for movie in ranked if movie not in exclude)
    return [movie for movie, _ in zip(wanted, range(n), strict=False)]

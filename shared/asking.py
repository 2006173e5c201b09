"""What may be asked for: how many movies, and which ones not. The same of `recommend` and of `score`."""

from collections.abc import Sequence
from typing import Final

from shared.errors import BadInput
from shared.lines import is_movie_id
from shared.recommendation import N_MOST

EXCLUDE_MOST: Final = 100
EXCLUDE_MOST_BYTES: Final = 16_000
"""Percent-encoding makes at most three times as much of it, and Envoy takes 60 KiB of a request."""


def number(values: Sequence[str]) -> int:
    """Return how many movies all values of `n` in a URL ask for. Raises: BadInput."""
    if not values:
        return N_MOST
    text = values[0]
    if len(values) > 1 or not (text.isascii() and text.isdigit() and len(text) < 3 and 1 <= int(text) <= N_MOST):
        raise BadInput(f"n is one whole number from 1 to {N_MOST}")
    return int(text)


def excluded(values: Sequence[str]) -> tuple[str, ...]:
    """Return the movies that all values of `exclude` in a URL list, each once. Raises: BadInput."""
    listed = [movie for value in values for movie in value.split(",")]
    if len(listed) > EXCLUDE_MOST:
        raise BadInput(f"exclude lists {len(listed)} movies; at most {EXCLUDE_MOST} are allowed")
    movies = tuple(dict.fromkeys(filter(None, listed)))
    for movie in movies:
        check_movie(movie, "exclude: ")
    size = len(",".join(movies).encode())
    if size > EXCLUDE_MOST_BYTES:
        raise BadInput(f"exclude is {size} bytes long; at most {EXCLUDE_MOST_BYTES} are allowed")
    return movies


def check_movie(movie: str, where: str = "") -> None:
    """Raise BadInput if this can be no movie's id."""
    if not is_movie_id(movie):
        raise BadInput(f"{where}{movie[:40]!r} is not a movie id")

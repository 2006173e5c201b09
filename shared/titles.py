"""What movies are called: by the catalogue, else by their ids."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Final

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from shared.errors import Corrupt
from shared.recommendation import MovieId

Titles = Mapping[MovieId, Annotated[str, Field(min_length=1, max_length=500)]]
"""The title of each movie of a catalogue."""

_CATALOGUE: Final = TypeAdapter(Titles, config=ConfigDict(strict=True))
_NAMED_WITH_YEAR: Final = re.compile(r"(.*[^+])\++((?:18|19|20)\d\d)", re.ASCII)


def titles(movies: Iterable[str], catalogue: Titles) -> dict[str, str]:
    """Return what each movie is called."""
    return {movie: catalogue.get(movie) or derived(movie) for movie in movies}


def derived(movie: str) -> str:
    """Return what a movie's id says of its title, "Toy Story (1995)" for toy+story+1995, else the id itself."""
    match = _NAMED_WITH_YEAR.fullmatch(movie)
    if match is None:
        return movie
    words = " ".join(word[:1].upper() + word[1:] for word in match[1].split("+") if word)
    return f"{words} ({match[2]})"


def decode(data: bytes) -> Titles:
    """Return a stored catalogue. Raises: Corrupt."""
    try:
        return _CATALOGUE.validate_json(data)
    except ValidationError as error:
        raise Corrupt(f"not a catalogue of titles: {str(error)[:200]}") from None


def encode(catalogue: Titles) -> bytes:
    """Return a catalogue as it is stored. Raises: Corrupt if it could not be read back."""
    data = _CATALOGUE.dump_json(catalogue)
    decode(data)
    return data

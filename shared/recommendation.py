"""What `score` answers and `recommend` passes on: the contract between the two."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

N_MOST: Final = 20

Rung = Literal["personal", "folded_in", "popular"]
"""How a list was made: by a model that knows the user, that took the user in later, or from what everybody likes."""

MovieId = Annotated[str, Field(min_length=1, max_length=256)]


class Recommendation(BaseModel):
    """Movies, best first, with the rating that the user would give each, and what found them."""

    model_config = ConfigDict(frozen=True, strict=True)

    movies: Annotated[list[MovieId], Field(max_length=N_MOST)]
    scores: list[float]
    rung: Rung
    model: str
    revision: str

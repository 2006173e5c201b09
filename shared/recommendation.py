"""What `score` answers and `recommend` passes on: the contract between the two."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

N_MOST: Final = 20
N_POPULAR: Final = 200

Rung = Literal["personal", "folded_in", "popular"]
"""How a list was made: by a model that knows the user as they are, that took in what they did since, or from what
everybody likes."""

MovieId = Annotated[str, Field(min_length=1, max_length=256)]

_exact = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class Recommendation(BaseModel):
    """Movies, best first, and what found them: the answer of `GET /top/<userid>?n=20&exclude=a,b`.

    `scores` are what they are ranked by, the chance that the user watches and likes each next; `ratings` are what the
    user would rate each.
    """

    model_config = _exact

    movies: Annotated[list[MovieId], Field(max_length=N_MOST)]
    scores: list[float]
    ratings: list[float]
    rung: Rung
    model: str
    revision: str


class Because(BaseModel):
    """A movie that the user watched, and what that adds to the chance of another."""

    model_config = _exact

    movie: MovieId
    chance: float


class Explanation(BaseModel):
    """Why a movie stands where it does for a user: the answer of `GET /explain/<userid>/<movieid>`.

    score = chance · liking; rating = mean + user_bias + movie_bias + interaction, before it is clipped to the scale;
    liking is the chance that who watches it rates it above the mean; chance = share + taste, but never below a
    hundredth of share: how often everybody watches it, and how much more or less this user is expected to.
    """

    model_config = _exact

    user_id: str
    movie: MovieId
    score: float
    chance: float
    share: float
    taste: float
    liking: float
    rating: float
    mean: float
    user_bias: float
    movie_bias: float
    interaction: float
    because: list[Because]
    seen: bool
    rung: Rung
    model: str
    revision: str


class Popular(BaseModel):
    """What everybody likes these days, best first: the answer of `GET /popular`.

    `model` is `popular@<matrix>+<lake version>`: counted from a matrix and all that came after it up to that version.
    """

    model_config = _exact

    movies: Annotated[list[MovieId], Field(max_length=N_POPULAR)]
    model: str

"""What is answered as JSON."""

from pydantic import BaseModel

from shared.recommendation import Explanation, MovieId, Rung


class Recommended(BaseModel):
    """Movies for a user, best first, what each is called, and what made the list."""

    user_id: str
    movies: list[MovieId]
    titles: list[str]
    model: str
    revision: str
    rung: Rung
    arm: str
    request_id: str


class Explained(Explanation):
    """Why a movie stands where it does for a user, and what the movies in it are called."""

    titles: dict[str, str]
    arm: str
    request_id: str


class Problem(BaseModel):
    """Why there is no answer (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str

"""What is known of the last matrix, to say when the next is due and how far ratings have moved."""

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.channels import OfLake

Count = Annotated[int, Field(ge=0, le=10**12)]
"""Rows; a lake of more is none of this service, and a count that is too high would call no row new."""

_exact = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class Statistics(BaseModel):
    """How many ratings, by whom, of what, and how often each value; the mean is None without ratings."""

    model_config = _exact

    n_ratings: Count
    n_users: Count
    n_movies: Count
    mean_rating: float | None
    histogram: dict[str, Count]


class Standing(OfLake):
    """The state of the channel: the last matrix, and how many rows the lake held at its version."""

    model_config = _exact

    matrix_id: str
    n_stored: Count
    n_watched: Count
    statistics: Statistics
    built_at: AwareDatetime

    def age_hours(self, now: datetime) -> float:
        """Return how old the matrix is."""
        return (now - self.built_at).total_seconds() / 3600

"""The rows of the lake: one type for every kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["watch", "rating", "request", "account", "served", "quarantine"]


class Place(NamedTuple):
    """Where a record stands in Kafka, and when Marquee took it in (microseconds since 1970, UTC).

    Topic, partition and offset identify a record whatever its producer claims.
    """

    topic: str
    partition: int
    offset: int
    ingested_at: int


@dataclass(slots=True)
class Row:
    """One record of the stream; the fields that its kind does not have are None.

    Times are microseconds since 1970, UTC. `raw` holds the record's own bytes and is kept for
    quarantined records only.
    """

    kind: Kind
    topic: str
    partition: int
    offset: int
    ingested_at: int
    time: int | None = None
    user_id: str | None = None
    movie_id: str | None = None
    minute: int | None = None
    rating: float | None = None
    server: str | None = None
    status: int | None = None
    movies: Sequence[str] | None = None
    latency_ms: float | None = None
    error: str | None = None
    request_id: str | None = None
    arm: str | None = None
    model: str | None = None
    revision: str | None = None
    rung: str | None = None
    reason: str | None = None
    raw: bytes | None = None

"""What happened: the events that functions send each other, over Kafka, as CloudEvents.

Each is a frozen dataclass of ids and numbers. `type` is the CloudEvents type and the Kafka topic.
"""

import json
from dataclasses import asdict
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from shared.decision import Verdict
from shared.errors import BadEvent
from shared.lines import USER_ID
from shared.recommendation import N_MOST, MovieId, Rung

MOVIELOG = "movielog"
"""The topic that the site writes its log to."""

Algorithm = Literal["svd", "svdpp"]
ALGORITHMS: tuple[Algorithm, ...] = ("svd", "svdpp")

Count = Annotated[int, Field(ge=0, lt=2**63)]
Id = Annotated[str, Field(min_length=1, max_length=256)]
Name = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$")]
"""What may stand in the name of an object: no slash, and no dot at the beginning."""

_strict = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)


@dataclass(frozen=True, config=_strict)
class EventsLanded:
    """A group of records was stored in `landing/` and may be folded into the lake."""

    type: ClassVar[str] = "marquee.events.landed"
    key: Id
    n_rows: Count


@dataclass(frozen=True, config=_strict)
class LakeFolded:
    """Landed records were committed to the lake, which stands at `lake_version` now."""

    type: ClassVar[str] = "marquee.lake.folded"
    lake_version: Count
    n_rows: Count


@dataclass(frozen=True, config=_strict)
class MatrixBuilt:
    """A rating matrix was stored and may be trained on."""

    type: ClassVar[str] = "marquee.matrix.built"
    matrix_id: Name
    lake_version: Count
    n_ratings: Count


@dataclass(frozen=True, config=_strict)
class ModelTrained:
    """A model was stored and may be evaluated."""

    type: ClassVar[str] = "marquee.model.trained"
    algorithm: Algorithm
    model_version: Name
    matrix_id: Name


@dataclass(frozen=True, config=_strict)
class ModelEvaluated:
    """A model was measured on ratings it has not seen, and accepted or rejected for the reason given.

    `rmse` is None if there was no rating to measure it on.
    """

    type: ClassVar[str] = "marquee.model.evaluated"
    algorithm: Algorithm
    model_version: Name
    accepted: bool
    reason: str
    rmse: float | None


@dataclass(frozen=True, config=_strict)
class RecommendationServed:
    """A list of movies was answered to a user: who, what, by which model, how fast (milliseconds).

    `time` is in microseconds since 1970, UTC.
    """

    type: ClassVar[str] = "marquee.recommendation.served"
    request_id: Id
    user_id: Annotated[str, Field(pattern=f"^{USER_ID}$")]
    time: Count
    movies: Annotated[tuple[MovieId, ...], Field(max_length=N_MOST)]
    latency_ms: Annotated[float, Field(ge=0, le=3_600_000)]
    arm: Id
    rung: Rung
    model: str
    revision: str


@dataclass(frozen=True, config=_strict)
class OnlineEvaluated:
    """A decision about the canary of a service was stored: what its users did, and what follows from it."""

    type: ClassVar[str] = "marquee.online.evaluated"
    service: Name
    model_version: Name
    number: Count
    verdict: Verdict


@dataclass(frozen=True, config=_strict)
class RolloutChanged:
    """The models of a service changed; `percent` is the share of users that the model has now.

    `who` changed them and `why`, in words; `evidence` is the key of the decision that it rests on, None if it rests on
    none, as a person's order.
    """

    type: ClassVar[str] = "marquee.rollout.changed"
    service: Name
    number: Count
    what: str
    model_version: str
    percent: Annotated[int, Field(ge=0, le=100)]
    who: str
    why: str
    evidence: str | None


@dataclass(frozen=True, config=_strict)
class Tick:
    """A schedule fired; nothing else happened."""

    type: ClassVar[str] = "dev.knative.sources.ping"


PIPELINE = (
    EventsLanded,
    LakeFolded,
    MatrixBuilt,
    ModelTrained,
    ModelEvaluated,
    RecommendationServed,
    OnlineEvaluated,
    RolloutChanged,
)
"""The events that travel over Kafka, each on the topic of its type's name."""

E = TypeVar("E")


def decode(kind: type[E], data: bytes | str) -> E:
    """Return the event that JSON bytes say. Raises: BadEvent naming every wrong field."""
    try:
        return TypeAdapter(kind).validate_json(data)
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'payload'}: {e['msg']}" for e in error.errors())
        raise BadEvent(f"not a {kind.__name__}: {found[:500]}") from None


def encode(event: Any) -> bytes:
    """Return an event's payload as compact JSON."""
    return json.dumps(asdict(event), separators=(",", ":"), ensure_ascii=False).encode()

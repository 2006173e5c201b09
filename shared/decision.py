"""What was decided about a model from what real users did: stored as evidence before anybody acts on it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.artifacts import LakeVersion
from shared.errors import Corrupt

Verdict = Literal["promote", "hold", "roll_back"]
"""Promote: no worse for sure. Roll back: worse for sure. Hold: there is not enough evidence for either."""


class Decision(BaseModel):
    """A verdict about the canary of a service, the revision that answers from a model, and why.

    `number` is the lake version that it was made from, so of two decisions the one with the higher number knows more.
    `is_safe` says that every guardrail holds for sure, so that more users may see the canary. `decided_at` is in
    microseconds since 1970, UTC.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    service: str
    model_version: str
    revision: str
    against: str
    number: Annotated[LakeVersion, Field(ge=0)]
    decided_at: Annotated[int, Field(ge=0)]
    verdict: Verdict
    is_safe: bool
    reason: str
    evidence: dict[str, Any]

    @classmethod
    def from_bytes(cls, data: bytes) -> "Decision":
        """Read a stored decision. Raises: Corrupt."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise Corrupt(f"not a decision: {error.error_count()} fields are wrong") from None

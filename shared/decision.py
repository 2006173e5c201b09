"""What was decided about a model from what real users did: stored as evidence before anybody acts on it."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared import keys
from shared.artifacts import LakeVersion, signed_part
from shared.errors import Corrupt
from shared.ports import ObjectStore
from shared.signing import Signer, Verifier

Verdict = Literal["promote", "hold", "roll_back"]
"""Promote: no worse for sure. Roll back: worse for sure. Hold: there is not enough evidence for either."""

_ROUNDING: Final = 1e-5
"""By so much two sums of the same numbers may differ, added up in another order, and rounded to six places."""

_BY_ORDER: Final = frozenset({"decided_at", "signature", "popular_share"})
"""What two that look at the same may tell differently: the moment, and which of equally popular movies come first."""


class Decision(BaseModel):
    """A verdict about the canary of a service, the revision that answers from a model, and why.

    `number` is the lake version that it was made from, so of two decisions the one with the higher number knows more.
    `is_safe` says that every guardrail holds for sure, so that more users may see the canary. `decided_at` is in
    microseconds since 1970, UTC. `signature` is over all the rest, where there is a key for it.
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
    signature: str | None = None

    @classmethod
    def from_bytes(cls, data: bytes, verifier: Verifier | None = None) -> "Decision":
        """Read a stored decision. Raises: Corrupt, also if nobody whom `verifier` trusts vouches for it."""
        try:
            decision = cls.model_validate_json(data)
        except ValidationError as error:
            raise Corrupt(f"not a decision: {error.error_count()} fields are wrong") from None
        if verifier:
            if decision.signature is None:
                raise Corrupt("nobody signed this decision, and only signed ones are followed here")
            verifier.check(signed_part(data), decision.signature)
        return decision

    def to_bytes(self, signer: Signer | None = None) -> bytes:
        """Return it as it is stored, with the word of who vouches for it."""
        signature = signer.sign(signed_part(self.model_dump_json().encode())) if signer else None
        return self.model_copy(update={"signature": signature}).model_dump_json(indent=1).encode()

    def says_as(self, other: "Decision") -> bool:
        """Say whether another that was made from the same says the same, but for what each may tell differently."""
        return _alike(self.model_dump(mode="json"), other.model_dump(mode="json"))


def stored(
    objects: ObjectStore, service: str, model_version: str, number: int, judge: Verifier | None = None
) -> Decision:
    """Return a decision, for who follows it or shows it as the reason.

    Raises: Corrupt, with its name, if it is none, one about something else, or nobody whom `judge` trusts vouches for
    it; NotFound, NotReady.
    """
    key = keys.decision(service, model_version, number)
    data = objects.get(key).data
    try:
        found = Decision.from_bytes(data, judge)
    except Corrupt as error:
        raise Corrupt(f"{key}: {error}") from error
    if (found.service, found.model_version, found.number) != (service, model_version, number):
        raise Corrupt(f"{key} is decision {found.number} about {found.model_version} of {found.service}")
    return found


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        names = one.keys() | other.keys()
        return all(_alike(one.get(name), other.get(name)) for name in names - _BY_ORDER)
    if isinstance(one, Sequence) and isinstance(other, Sequence) and not isinstance(one, str):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_ROUNDING, abs_tol=_ROUNDING)
    return bool(one == other)

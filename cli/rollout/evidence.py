"""What a decision rests on, as far as people are told of it."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.decision import Decision
from shared.errors import Corrupt


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Effect(_Part):
    """How many more of the canary's users watched something, as a share, with bounds."""

    estimate: float | None = None
    lower: float = -1.0
    upper: float = 1.0


class Guardrail(_Part):
    """What must not become worse, and whether it did."""

    name: str
    status: str


class Judged(_Part):
    """What was found."""

    effect: Effect = Effect()
    guardrails: tuple[Guardrail, ...] = ()


class Rules(_Part):
    """What is asked of a canary: how far the lower bound may be below 0, and how many users of each."""

    margin: float = 0.0
    min_users: int = 0


class Arm(_Part):
    """How many users of an arm count."""

    closed_users: int = 0


class Evidence(_Part):
    """The evidence of a decision; `percent` are the users that the canary had, `arms` have names as `svd:canary`."""

    percent: int | None = None
    verdict: Judged = Judged()
    rules: Rules = Rules()
    arms: Mapping[str, Arm] = {}

    @classmethod
    def of(cls, decision: Decision) -> "Evidence":
        """Read the evidence of a decision. Raises: Corrupt."""
        try:
            return cls.model_validate(decision.evidence)
        except ValidationError as error:
            where = f"decision {decision.number} about {decision.model_version} of {decision.service}"
            raise Corrupt(f"the evidence of {where}: {error.error_count()} fields are wrong") from None

    def counted(self, role: str) -> int:
        """Return how many users of the canary or of stable count."""
        return sum(arm.closed_users for name, arm in self.arms.items() if name.endswith(f":{role}"))

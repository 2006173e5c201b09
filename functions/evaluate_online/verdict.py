"""Whether a canary is promoted, held or rolled back, from what its users did beside the stable ones'."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Annotated, Final

from pydantic import Field
from pydantic.dataclasses import dataclass

from functions.evaluate_online.guardrails import Guardrail, Level, of_level, of_share, points
from functions.evaluate_online.sequence import (
    EXPECTED_USERS,
    RARE,
    STRICT,
    WATCHING,
    Difference,
    Stratum,
    difference,
)
from shared.decision import Verdict

LEVELS: Final[Mapping[str, float]] = {"coverage": 0.8, "audience of one movie": 5.0}
"""How many times stable's the canary's levels may be: below 1 at least, from 1 on at most."""

_Share = Annotated[float, Field(gt=0, lt=1)]
_Positive = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, config=STRICT)
class Evidence:
    """What is known of a canary at one look.

    `strata` count the users who watched something from their list. `shares` have by name, in the same way, the
    share of each user's requests to which something bad happened, `levels` what is measured once an arm.
    """

    strata: tuple[Stratum, ...]
    shares: Mapping[str, tuple[Stratum, ...]]
    levels: Mapping[str, Level]


@dataclass(frozen=True, config=STRICT)
class Rules:
    """When to decide what, fixed before there is evidence.

    `alpha` is the chance that a sequence of bounds is ever wrong. Fewer of the canary's users may watch, but not by
    `margin` (0.01: one in a hundred). `shares` has for each share by how much it may be greater on the canary, and
    `levels` for each level how many times stable's it may be: below 1 at least, from 1 on at most. All that is
    named here must be measured before a canary is promoted.
    Bounds hold at any number of users, and are narrowest at about `expected_users`.
    """

    alpha: _Share = 0.05
    margin: _Share = 0.01
    min_users: Annotated[int, Field(ge=1)] = 1_000
    expected_users: Annotated[int, Field(ge=1)] = EXPECTED_USERS
    shares: Mapping[str, _Share] = field(
        default_factory=lambda: {"errors": 0.01, "fallbacks": 0.02, "slow answers": 0.02}
    )
    levels: Mapping[str, _Positive] = field(default_factory=lambda: LEVELS)


@dataclass(frozen=True, config=STRICT)
class Judgement:
    """What to do with a canary, why, and the numbers behind it."""

    verdict: Verdict
    reason: str
    effect: Difference
    guardrails: tuple[Guardrail, ...]


def judge(evidence: Evidence, rules: Rules) -> Judgement:
    """Judge a canary; the same evidence gives the same one, however often it is asked for."""
    sooner = rules.expected_users / EXPECTED_USERS
    effect = difference(evidence.strata, rules.alpha, sooner * WATCHING)
    enough = _enough(effect, rules)
    guardrails = (
        *(
            of_share(name, evidence.shares.get(name, ()), limit, rules.alpha, sooner * RARE)
            for name, limit in rules.shares.items()
        ),
        *(of_level(name, evidence.levels.get(name), limit, enough) for name, limit in rules.levels.items()),
    )
    return Judgement(*_decide(effect, guardrails, rules), effect, guardrails)


def _decide(effect: Difference, guardrails: Sequence[Guardrail], rules: Rules) -> tuple[Verdict, str]:
    """Return the verdict and its reason: what harms for sure goes before all else; what is unknown is waited for.

    A level has no bounds: of a canary that is better for sure, a person says what a broken one means.
    """
    broken = [each for each in guardrails if each.status == "broken"]
    told = "; ".join(map(str, broken))
    if broken and (effect.lower <= 0 or any(each.upper is not None for each in broken)):
        return "roll_back", f"a guardrail is broken: {told}"
    if broken:
        return "hold", f"better, but a person has to say whether this may be: {told}; {_told(effect)}"
    if effect.upper < 0:
        return "roll_back", f"worse: {_told(effect)}"
    lacking = _lacking(effect, guardrails, rules)
    if not lacking:
        how = "better" if effect.lower > 0 else f"not worse by {100 * rules.margin:g} points"
        return "promote", f"{how}: {_told(effect)}"
    return "hold", f"not enough evidence yet: {'; '.join(lacking)}"


def _lacking(effect: Difference, guardrails: Sequence[Guardrail], rules: Rules) -> list[str]:
    if effect.estimate is None:
        return [_told(effect)]
    lacking = []
    if not _enough(effect, rules):
        lacking.append(f"at least {rules.min_users:,} users of each are asked")
    if effect.lower <= -rules.margin:
        lacking.append(f"it may be worse by {100 * rules.margin:g} points")
    unsure = [str(each) for each in guardrails if each.status != "ok"]
    return [*lacking, *unsure, _told(effect)] if lacking or unsure else []


def _enough(effect: Difference, rules: Rules) -> bool:
    return min(effect.n_canary, effect.n_stable) >= rules.min_users


def _told(effect: Difference) -> str:
    if effect.canary is None or effect.stable is None or effect.estimate is None:
        return "of canary or stable no user's window is over yet, or none of them watched anything from a list"
    return (
        f"{effect.canary:.2%} of {effect.n_canary:,} users watched something from the canary's lists, "
        f"{effect.stable:.2%} of {effect.n_stable:,} from stable's: {points(effect.estimate)} points "
        f"({points(effect.lower)} to {points(effect.upper)})"
    )

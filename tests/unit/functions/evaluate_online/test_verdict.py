from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from functions.evaluate_online.guardrails import Level
from functions.evaluate_online.sequence import Stratum
from functions.evaluate_online.verdict import Evidence, Judgement, Rules, judge
from tests.unit.functions.evaluate_online.arms import stratum

RULES = Rules(shares={"errors": 0.01}, levels={"coverage": 0.8})
CALM = {"errors": (stratum((40_000, 40), (40_000, 40)),)}
WIDE = {"coverage": Level(0.5, 0.5)}


def evidence(*strata: Stratum, **others) -> Evidence:
    return Evidence(**{"strata": strata, "shares": CALM, "levels": WIDE} | others)


def halves(canary: int, stable: int, n_users: int = 40_000) -> Stratum:
    return stratum((n_users, canary), (n_users, stable))


@pytest.mark.parametrize(
    ("canary", "decision", "words"),
    [
        (7_400, "roll_back", "worse: 18.50% of 40,000 users"),
        (7_750, "hold", "it may be worse by 1 points"),
        (8_000, "promote", "not worse by 1 points: 20.00% of 40,000 users"),
        (8_600, "promote", "better: 21.50% of 40,000 users"),
    ],
)
def test_users_decide(canary: int, decision: str, words: str):
    """Beside 8,000 of 40,000: worse goes back, unknown waits, as good and better go on."""
    found = judge(evidence(halves(canary, 8_000)), RULES)
    assert found.verdict == decision
    assert words in found.reason


def test_worse_goes_back_though_it_is_worse_by_less_than_the_margin():
    """Bounds of -0.8 to -0.2 points would allow both."""
    found = judge(evidence(halves(398_000, 400_000 + 2_000, 2_000_000)), replace(RULES, margin=0.01))
    assert -RULES.margin < found.effect.lower
    assert found.effect.upper < 0
    assert found.verdict == "roll_back"


@pytest.mark.parametrize(("n_canary", "n_stable"), [(999, 50_000), (50_000, 999)])
def test_few_users_of_one_arm_are_never_enough(n_canary: int, n_stable: int):
    """However much better the canary does, and whatever its coverage seems to be."""
    found = judge(evidence(stratum((n_canary, n_canary), (n_stable, 0)), levels={"coverage": Level(0.1, 0.5)}), RULES)
    assert found.effect.lower > 0
    assert (found.verdict, "at least 1,000 users" in found.reason) == ("hold", True)
    assert found.guardrails[-1].status == "not enough"


def test_a_bound_a_hair_above_nought_is_not_worse():
    """Bounds decide, not the estimate."""
    found = judge(evidence(halves(7_660, 8_000)), RULES)
    assert 0 < found.effect.upper < 0.001
    assert found.verdict == "hold"


@pytest.mark.parametrize("missing", [{"shares": {}}, {"levels": {}}, {"levels": {"coverage": Level(None, 0.5)}}])
def test_what_is_not_measured_is_waited_for(missing: dict):
    """A good canary is held while a guardrail is unknown."""
    found = judge(evidence(halves(8_600, 8_000), **missing), RULES)
    assert (found.verdict, found.reason.startswith("not enough evidence yet: ")) == ("hold", True)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"shares": {"errors": (stratum((1_000, 60), (1_000, 0)),)}}, "errors: 6.00% beside 0.00%"),
        ({"levels": {"coverage": Level(0.1, 0.5)}}, "coverage: 0.1 beside 0.5"),
    ],
)
def test_a_broken_guardrail_goes_before_users_who_are_as_happy(broken: dict, words: str):
    """The reason names it."""
    found = judge(evidence(halves(8_000, 8_000), **broken), RULES)
    assert (found.verdict, f"a guardrail is broken: {words}" in found.reason) == ("roll_back", True)


def test_of_happier_users_only_what_is_sure_rolls_a_canary_back():
    """A share has bounds. A level has none, and waits for a person."""
    errors = {"shares": {"errors": (stratum((1_000, 60), (1_000, 0)),)}}
    assert judge(evidence(halves(8_600, 8_000), **errors), RULES).verdict == "roll_back"
    found = judge(evidence(halves(8_600, 8_000), levels={"coverage": Level(0.1, 0.5)}), RULES)
    assert found.verdict == "hold"
    assert "better, but a person has to say whether this may be: coverage: 0.1 beside 0.5" in found.reason


@given(st.lists(st.integers(0, 5_000), max_size=4))
def test_without_users_nothing_is_promoted_or_rolled_back(stable_only: list[int]):
    """No traffic, and no canary, are no verdict."""
    strata = [stratum((0, 0), (n_users, n_users // 5)) for n_users in stable_only]
    found = judge(evidence(*strata), RULES)
    assert found.verdict == "hold"
    assert "no user's window is over yet, or none of them watched anything" in found.reason


def test_evidence_and_verdict_are_json():
    """They are stored before anybody acts on them, and judged alike when read again."""
    given_evidence, kept = evidence(halves(8_000, 8_000), stratum((0, 0), (10, 2))), TypeAdapter(Evidence)
    read = kept.validate_json(kept.dump_json(given_evidence))
    verdict, told = judge(read, RULES), TypeAdapter(Judgement)
    assert verdict == judge(given_evidence, RULES)
    assert told.validate_json(told.dump_json(verdict)) == verdict
    assert told.validate_json(told.dump_json(judge(evidence(), RULES))).effect.estimate is None

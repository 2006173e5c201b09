import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.decision import Decision
from shared.errors import Corrupt
from shared.signing import Signer

SIGNER = Signer.new()
EVIDENCE: dict[str, Any] = {
    "percent": 5,
    "arms": {"svd:canary": {"hit_rate": 0.25, "popular_share": 0.5, "rmse": None}},
    "verdict": {"effect": {"estimate": 0.01, "lower": -0.02}, "guardrails": [{"name": "errors", "upper": 0.003}]},
}
DECISION = Decision(
    service="score-svd",
    model_version="m2",
    revision="score-svd-m2",
    against="m1",
    number=7,
    decided_at=99,
    verdict="hold",
    is_safe=False,
    reason="not enough evidence yet",
    evidence=EVIDENCE,
)


def evidence(**changes: Any) -> Decision:
    return DECISION.model_copy(update={"evidence": {**EVIDENCE, **changes}})


def test_a_decision_is_what_was_stored_signed_or_not() -> None:
    """Whoever checks nothing reads a signed one too."""
    assert Decision.from_bytes(DECISION.to_bytes()) == DECISION
    signed = Decision.from_bytes(DECISION.to_bytes(SIGNER))
    assert signed == DECISION.model_copy(update={"signature": signed.signature})
    assert Decision.from_bytes(DECISION.to_bytes(SIGNER), SIGNER.verifier) == signed
    assert signed.to_bytes(SIGNER) == DECISION.to_bytes(SIGNER)


@pytest.mark.parametrize("name", [name for name in Decision.model_fields if name != "signature"])
def test_every_word_of_a_decision_is_signed(name: str) -> None:
    """And what somebody adds to it."""
    told = json.loads(DECISION.to_bytes(SIGNER))
    other = {str: "roll_back", int: 8, bool: True, dict: {}}[type(told[name])]
    for changed in (told | {name: other}, told | {"more": 1}):
        with pytest.raises(Corrupt, match="none of the keys"):
            Decision.from_bytes(json.dumps(changed).encode(), SIGNER.verifier)


def test_a_decision_without_a_true_signature_is_refused_where_they_are_checked() -> None:
    """None, an empty one, one of another key, and a name that stands twice."""
    twice = DECISION.to_bytes(SIGNER).replace(b'"verdict"', b'"verdict": "promote", "verdict"')
    empty = DECISION.model_copy(update={"signature": ""}).model_dump_json().encode()
    for data in (DECISION.to_bytes(), empty, DECISION.to_bytes(Signer.new()), twice):
        with pytest.raises(Corrupt):
            Decision.from_bytes(data, SIGNER.verifier)


def test_two_that_differ_in_the_last_digits_and_in_the_moment_say_the_same() -> None:
    """Sums come out so in another order, and of equally popular movies others are taken."""
    arm = EVIDENCE["arms"]["svd:canary"] | {"hit_rate": 0.25 + 1e-7, "popular_share": 0.4}
    assert DECISION.says_as(evidence(arms={"svd:canary": arm}).model_copy(update={"decided_at": 7, "signature": "x"}))


@given(st.floats(0.001, 1))
def test_two_that_differ_in_any_number_do_not_say_the_same(more: float) -> None:
    """Nor if one of them says something that the other does not, or nothing at all."""
    effect = {**EVIDENCE["verdict"]["effect"], "lower": -0.02 + more}
    guardrail = {"name": "errors", "upper": 0.003 + more}
    for other in (
        evidence(verdict={**EVIDENCE["verdict"], "effect": effect}),
        evidence(verdict={**EVIDENCE["verdict"], "guardrails": [guardrail]}),
        evidence(verdict={**EVIDENCE["verdict"], "guardrails": []}),
        evidence(percent=25),
        evidence(arms={}),
        evidence(more=1),
        DECISION.model_copy(update={"evidence": {}}),
    ):
        assert not DECISION.says_as(other)
        assert not other.says_as(DECISION)

import pytest

from functions.evaluate_online.guardrails import Level, of_level, of_share
from tests.unit.functions.evaluate_online.arms import stratum

LIMIT, ALPHA = 0.02, 0.05


@pytest.mark.parametrize(
    ("canary", "stable", "status"),
    [
        ((20, 1), (380, 0), "not enough"),
        ((30, 30), (570, 0), "broken"),
        ((1_000, 100), (19_000, 190), "broken"),
        ((1_000, 100), (19_000, 1_900), "not enough"),
        ((10_000, 100), (10_000, 100), "ok"),
        ((10_000, 250), (10_000, 100), "not enough"),
        ((0, 0), (10_000, 100), "not enough"),
    ],
)
def test_a_share_is_broken_or_ok_once_that_is_sure(canary: tuple[int, int], stable: tuple[int, int], status: str):
    """One fallback of twenty is chance, thirty of thirty are not; what befalls both arms is nobody's fault."""
    assert of_share("fallbacks", [stratum(canary, stable)], LIMIT, ALPHA).status == status


@pytest.mark.parametrize(
    ("canary", "limit", "status"),
    [(0.41, 0.8, "ok"), (0.39, 0.8, "broken"), (0.59, 1.2, "ok"), (0.61, 1.2, "broken")],
)
def test_a_level_keeps_a_part_or_a_multiple_of_stables(canary: float, limit: float, status: str):
    """Stable has 0.5. A limit below 1 is the least, one above the most."""
    assert of_level("coverage", Level(canary, 0.5), limit, enough=True).status == status
    assert of_level("coverage", Level(canary, 0.5), limit, enough=False).status == "not enough"


@pytest.mark.parametrize("level", [None, Level(None, 0.5), Level(0.5, None)])
def test_a_level_that_was_not_measured_is_not_ok(level: Level | None):
    """Absence is told."""
    found = of_level("coverage", level, 0.8, enough=True)
    assert (found.status, str(found)) == ("not enough", "coverage: not measured")


def test_guardrails_are_told_in_words():
    """Both numbers and the limit."""
    share = of_share("errors", [stratum((10_000, 500), (10_000, 100))], LIMIT, ALPHA)
    assert str(share) == "errors: 5.00% beside 1.00%, +3.27 to +4.73 points more, 2 are allowed"
    level = of_level("coverage", Level(0.2, 0.5), 0.8, enough=True)
    assert str(level) == "coverage: 0.2 beside 0.5, must be at least 0.8 times that"


@pytest.mark.parametrize(("canary", "status"), [(0.49, "ok"), (0.51, "broken")])
def test_a_small_level_of_stables_is_judged_as_if_it_were_the_least_and_told_as_it_is(canary: float, status: str):
    """At most 5 times 0.1, though stable has 0.02."""
    found = of_level("audience", Level(canary, 0.02, 0.1), 5.0, enough=True)
    assert (found.status, found.stable) == (status, 0.02)
    assert str(found) == f"audience: {canary} beside 0.02, must be at most 5 times 0.1"

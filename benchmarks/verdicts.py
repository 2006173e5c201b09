"""How often verdicts on canaries are wrong, and how many users they take; draws docs/verdicts.svg too."""

from dataclasses import replace
from statistics import NormalDist, median
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from numpy.typing import NDArray

from benchmarks.canaries import (
    BLOCK,
    RULES,
    Canaries,
    Plan,
    bounds,
    constant,
    decided,
    drifting,
    made_up,
    returning,
    stratum,
    z_test,
)
from benchmarks.report import Result
from functions.evaluate_online.period import share_of_alpha
from functions.evaluate_online.sequence import RARE, WATCHING
from functions.evaluate_online.verdict import Evidence, judge
from infra.local.machine import ROOT
from shared.decision import Verdict

PICTURE: Final = ROOT / "docs/verdicts.svg"
ALIKE, RUNS, DRAWN, EVERY = 2_000, 500, 99, 4
POWER: Final = 0.9
A_FIFTH: Final = constant(0.2)
HALVES: Final[Plan] = ((1_200, 0.5),)
FEW: Final[Plan] = ((1_200, 0.05),)
GROWING: Final[Plan] = ((200, 0.05), (200, 0.25), (1_080, 0.5))
"""Like HALVES, it ends when the canary has had 60,000 users."""
FIRST_STEP, LAST_STEP = (
    replace(RULES, alpha=RULES.alpha * share_of_alpha(percent, (5, 25, 50))) for percent in (5, 50)
)
"""The rules as they are at these percentages of the users."""


def run() -> list[Result]:
    """Make up canaries that are equal, worse, better and broken."""
    draw()
    return [*false_alarms(), *decisions(), breakdown()]


def false_alarms() -> list[Result]:
    """How often a canary is ever said to be worse or better than it is, over all looks."""
    rare, equal = constant(0.01), 0.0
    kinds: list[tuple[str, Canaries, float, float]] = [
        ("equal, half of the users on each arm", made_up(HALVES, ALIKE, 1, equal, A_FIFTH), equal, WATCHING),
        ("equal, 5 % on the canary", made_up(FEW, ALIKE, 2, equal, A_FIFTH), equal, WATCHING),
        ("equal, weights of 5, 25, 50 %, drifting rates", made_up(GROWING, ALIKE, 3, equal, drifting), equal, WATCHING),
        ("equal, the same users in each of five periods", returning(ALIKE, 5), equal, WATCHING),
        ("a guardrail, equal at 1 %, 5 % on the canary", made_up(FEW, ALIKE, 4, equal, rare), equal, RARE),
        ("a guardrail, 3 % beside 1 %, 5 % on the canary", made_up(FEW, ALIKE, 6, 0.02, rare), 0.02, RARE),
    ]
    beyond = NormalDist().inv_cdf(1 - RULES.alpha / 2)
    results = []
    for kind, canaries, truth, narrowest_at in kinds:
        found = bounds(canaries, narrowest_at)
        pooled = bounds(canaries._replace(begins=(0,)), narrowest_at)
        worse, better = _ever(found.upper < truth), _ever(found.lower > truth)
        details = {
            "worse": worse,
            "better": better,
            "by a z-test at every look": _ever(np.abs(found.estimate - truth) > beyond * found.deviation),
            "by the sequence, periods pooled": _ever((pooled.upper < truth) | (pooled.lower > truth)),
        }
        claim = f"of {ALIKE:,} canaries at most 5 % are ever called worse or better than they are: {kind}"
        results.append(_at_most(claim, worse + better, RULES.alpha, "of runs", details))
    return results


def decisions() -> list[Result]:
    """How many canaries are decided by 60,000 users of theirs, beside a test that looks once."""
    kinds: list[tuple[float, Verdict, float]] = [
        (0.18, "roll_back", 0.99),
        (0.19, "roll_back", 0.85),
        (0.2, "promote", 0.85),
        (0.22, "promote", 0.99),
    ]
    results = []
    for seed, (rate, wanted, bar) in enumerate(kinds, start=10):
        for plan, told, rules in (
            (HALVES, "half of the users on each arm", RULES),
            (HALVES, "the last step alone, with its share of alpha, as it is done", LAST_STEP),
            (GROWING, "weights of 5, 25, 50 %", RULES),
        ):
            found = decided(made_up(plan, RUNS, seed, rate - 0.2, A_FIFTH), rules)
            users = [n if each.verdict == wanted else np.inf for each, n in found]
            wrong = sum(each.verdict not in (wanted, "hold") for each, _ in found)
            details = {
                "decided the other way": wrong / RUNS,
                "users of both arms, median": median(users),
                "users for a z-test with one look": None if rate == 0.2 else z_test(rate, 0.2, POWER),
            }
            claim = f"{rate:.0%} of users watch beside 20%, {wanted} by 60,000 users of the canary: {told}"
            share = float(np.isfinite(users).mean())
            results.append(Result(claim, share, bar, "of runs", share / bar, 1, details))
    return results


def breakdown() -> Result:
    """How many users of a canary that never answers are served before its guardrail breaks, in the step of 5 %."""
    rules = replace(FIRST_STEP, shares={"fallbacks": 0.02})
    rng, waited = np.random.default_rng(20), []
    for _ in range(RUNS):
        n_canary, n_stable, verdict = 0, 0, "hold"
        while verdict != "roll_back":
            n_canary, n_stable = n_canary + 1, n_stable + int(rng.geometric(0.05)) - 1
            shares = {"fallbacks": (stratum(n_canary, n_canary, n_stable, 0),)}
            verdict = judge(Evidence((), shares, {}), rules).verdict
        waited.append(n_canary)
    claim = "a canary that always falls back is rolled back after so few of its users, in the step of 5 %"
    return _at_most(claim, median(waited), 30, "users", {"the most": max(waited)})


def draw() -> None:
    """Write the picture: of equal canaries and of worse ones that which waits for its verdict as long as the median."""
    mpl.rcParams["svg.hashsalt"] = "marquee"
    figure, panels = pyplot.subplots(1, 2, figsize=(11, 4.5), sharey=True, layout="constrained")
    for axes, lift in zip(panels, (0.0, -0.02), strict=True):
        _panel(axes, made_up(GROWING, DRAWN, 30, lift, A_FIFTH), lift)
    panels[0].set(ylabel="canary - stable, points", ylim=(-10, 10))
    figure.savefig(PICTURE, metadata={"Date": None})
    pyplot.close(figure)


def _panel(axes: Axes, canaries: Canaries, lift: float) -> None:
    verdicts = decided(canaries)
    i = sorted(range(DRAWN), key=lambda i: verdicts[i][1])[DRAWN // 2]
    found, n = verdicts[i]
    estimate, lower, upper = (100 * each[i, ::EVERY] for each in bounds(canaries)[:3])
    users = BLOCK * np.arange(1, 1 + EVERY * len(estimate), EVERY)
    colour = "tab:green" if found.verdict == "promote" else "tab:red"
    axes.fill_between(users, lower, upper, alpha=0.25, label="95 %, at all looks at once")
    axes.plot(users, estimate, label="estimate")
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.axhline(100 * lift, color="black", linewidth=0.8, label="truth")
    axes.axhline(-100 * RULES.margin, color="tab:orange", linestyle="--", linewidth=0.8, label="margin")
    axes.axvline(n, color=colour, label=f"{found.verdict} after {n:,} users")
    for (_, weight), begin in zip(GROWING, canaries.begins, strict=True):
        axes.axvline(begin * BLOCK, color="grey", linestyle=":", linewidth=0.8)
        axes.annotate(f" {weight:.0%}", (begin * BLOCK, -9.5), color="grey", fontsize=8)
    axes.set(title=f"{0.2 + lift:.0%} of users watch, beside 20%", xlabel="users of both arms", xlim=(0, 100_000))
    axes.legend(fontsize=8, loc="upper right")


def _ever(each: NDArray[np.bool_]) -> float:
    return float(each.any(axis=1).mean())


def _at_most(claim: str, ours: float, most: float, unit: str, details: dict[str, Any]) -> Result:
    return Result(claim, ours, most, unit, most / max(ours, 1e-4), 1, details)

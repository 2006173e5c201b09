"""Canaries made up by the thousand, each looked at after every 100 users more, and what a verdict says of them."""

from collections.abc import Callable
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from functions.evaluate_online.sequence import WATCHING, Arm, Stratum, Sums, reach, score
from functions.evaluate_online.verdict import Evidence, Judgement, Rules, judge

BLOCK: Final = 100
RULES: Final = Rules(shares={}, levels={})
STEPS: Final = (0.05, 0.1, 0.25, 0.5, 0.75)
Plan = tuple[tuple[int, float], ...]
"""How many looks at which weight of the canary, period after period."""
Rate = Callable[[NDArray[Any]], NDArray[Any]]
"""The chance that a user of stable watches, at each look."""


class Canaries(NamedTuple):
    """What came between two looks, shape (n_runs, n_looks) each, and the looks at which periods begin."""

    n_canary: NDArray[np.int64]
    canary_hits: NDArray[np.int64]
    stable_hits: NDArray[np.int64]
    begins: tuple[int, ...]

    def periods(self) -> list[slice]:
        """Return the looks of each period."""
        ends = (*self.begins[1:], self.n_canary.shape[1])
        return [slice(begin, end) for begin, end in zip(self.begins, ends, strict=True)]


class Bounds(NamedTuple):
    """What every look shows, shape (n_runs, n_looks) each."""

    estimate: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    deviation: NDArray[np.float64]


def constant(rate: float) -> Rate:
    """Return a chance that never changes."""
    return lambda looks: np.full(len(looks), rate)


def drifting(looks: NDArray[Any]) -> NDArray[Any]:
    """Return 12 % rising to 28 % from look 150 to 450, with waves of 5 %."""
    chances: NDArray[np.float64] = np.interp(looks, (150, 450), (0.12, 0.28)) + 0.05 * np.sin(looks / 40)
    return chances


def made_up(plan: Plan, n_runs: int, seed: int, lift: float, rate: Rate) -> Canaries:
    """Return canaries whose users have the chance of stable's to watch, and `lift` more."""
    rng = np.random.default_rng(seed)
    looks, weights = zip(*plan, strict=True)
    chances = rate(np.arange(sum(looks)))
    n_canary = rng.binomial(BLOCK, np.repeat(weights, looks), (n_runs, sum(looks)))
    hits = rng.binomial(n_canary, chances + lift), rng.binomial(BLOCK - n_canary, chances)
    return Canaries(n_canary, hits[0], hits[1], tuple(np.cumsum((0, *looks[:-1])).tolist()))


def returning(n_runs: int, seed: int, n_users: int = 30_000) -> Canaries:
    """Return equal canaries of users who come once a period; two visits of one correlate by 0.2, a fifth watch."""
    rng, n_looks = np.random.default_rng(seed), n_users // BLOCK
    found = np.empty((3, n_runs, len(STEPS), n_looks), dtype=np.int64)
    for i in range(n_runs):
        chances, places = rng.beta(0.8, 3.2, n_users), rng.random(n_users)
        for step, weight in enumerate(STEPS):
            watched, on_canary = rng.random(n_users) < chances, places < weight
            each = np.stack((on_canary, watched & on_canary, watched & ~on_canary))
            found[:, i, step] = np.count_nonzero(each.reshape(3, n_looks, BLOCK), axis=2)
    n_canary, canary, stable = found.reshape(3, n_runs, -1)
    return Canaries(n_canary, canary, stable, tuple(range(0, len(STEPS) * n_looks, n_looks)))


def bounds(canaries: Canaries, narrowest_at: float = WATCHING, rules: Rules = RULES) -> Bounds:
    """Return what `difference` says at every look of every run, and the estimate's standard deviation."""
    total, parts = np.zeros((3, len(canaries.n_canary), 1)), []
    for period in canaries.periods():
        n_canary, canary, stable = (np.cumsum(each[:, period], axis=1) for each in canaries[:3])
        n_stable = np.arange(1, n_canary.shape[1] + 1) * BLOCK - n_canary
        parts.append(total + np.array(score(Sums(n_canary, canary, canary), Sums(n_stable, stable, stable))))
        total = parts[-1][:, :, -1:]
    weight, value, variance = np.concatenate(parts, axis=2)
    wide, weight = reach(variance, rules.alpha, narrowest_at), np.maximum(weight, 1e-9)
    return Bounds(value / weight, (value - wide) / weight, (value + wide) / weight, np.sqrt(variance) / weight)


def decided(canaries: Canaries, rules: Rules = RULES) -> list[tuple[Judgement, int]]:
    """Return the verdict on each run and the users it took: `judge` is asked at the first look that may decide."""
    found, n_canary = bounds(canaries, rules=rules), np.cumsum(canaries.n_canary, axis=1)
    n_stable = np.arange(1, n_canary.shape[1] + 1) * BLOCK - n_canary
    enough = np.minimum(n_canary, n_stable) >= rules.min_users
    may = (found.upper < 0) | (enough & (found.lower > -rules.margin))
    looks = np.where(may.any(axis=1), may.argmax(axis=1), may.shape[1] - 1).tolist()
    return [(judged(canaries, i, look, rules), (look + 1) * BLOCK) for i, look in enumerate(looks)]


def judged(canaries: Canaries, i: int, look: int, rules: Rules) -> Judgement:
    """Return the verdict on a run at a look."""
    strata = []
    for period in canaries.periods():
        until = slice(period.start, max(period.start, min(period.stop, look + 1)))
        n_canary, canary, stable = (int(each[i, until].sum()) for each in canaries[:3])
        strata.append(stratum(n_canary, canary, BLOCK * (until.stop - until.start) - n_canary, stable))
    return judge(Evidence(tuple(strata), {}, {}), rules)


def stratum(n_canary: int, canary: int, n_stable: int, stable: int) -> Stratum:
    """Return a stratum of users to whom something happened or not."""
    return Stratum(Arm(n_canary, float(canary), float(canary)), Arm(n_stable, float(stable), float(stable)))


def z_test(rate: float, stable: float, power: float) -> int:
    """Return the users of both arms that a two-proportion z-test of the same alpha needs, with one look."""
    z = NormalDist().inv_cdf(1 - RULES.alpha / 2) + NormalDist().inv_cdf(power)
    return round(2 * z**2 * (rate * (1 - rate) + stable * (1 - stable)) / (rate - stable) ** 2)

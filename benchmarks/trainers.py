"""Seconds that a fit takes beside scikit-surprise's with the same parameters, its defaults, and the errors of both."""

import statistics
from typing import Final, NamedTuple

from benchmarks.ratings import Parted, made_up, parted, sample
from benchmarks.report import Result
from functions.train import core, timed
from shared.events import ALGORITHMS, Algorithm
from shared.settings import cores

N_SPLITS: Final = 5
TIMES: Final[dict[Algorithm, int]] = {"svd": 5, "svdpp": 1}  # each split: short fits vary more
BARS: Final[dict[Algorithm, float]] = {"svd": 25, "svdpp": 150}
MORE_ERROR: Final = 0.001


class Fit(NamedTuple):
    """The seconds of a fit, and its RMSE on ratings it was not given."""

    seconds: float
    rmse: float


def run() -> list[Result]:
    """Compare on random 80/20 splits of the sample, and errors on small made-up ratings too."""
    sides = {"movielens-small": sample(), "made-up": made_up(30_000, 600, 800)}
    results = []
    for algorithm in ALGORITHMS:
        for name, matrix in sides.items():
            splits = [parted(matrix, 0.8, seed) for seed in range(N_SPLITS)]
            ours, theirs = compared(algorithm, splits * TIMES[algorithm])
            if name == "movielens-small":
                results.append(speed(algorithm, ours, theirs))
            results.append(error(algorithm, name, ours, theirs))
    return results


def compared(algorithm: Algorithm, splits: list[Parted]) -> tuple[list[Fit], list[Fit]]:
    """Fit each split by either engine, in turn."""
    pairs = [
        (fitted(algorithm, split, seed % N_SPLITS, "marquee"), fitted(algorithm, split, seed % N_SPLITS, "surprise"))
        for seed, split in enumerate(splits)
    ]
    return [ours for ours, _ in pairs], [theirs for _, theirs in pairs]


def fitted(
    algorithm: Algorithm, split: Parted, seed: int, engine: core.Engine, parameters: core.Parameters | None = None
) -> Fit:
    """Fit once, with the defaults if not told."""
    order = core.Order(algorithm, parameters or core.DEFAULTS[algorithm], seed, cores(), engine)
    model, seconds = timed.fit(split.train, order)
    return Fit(seconds, split.rmse(model))


def speed(algorithm: Algorithm, ours: list[Fit], theirs: list[Fit]) -> Result:
    """Compare median seconds."""
    mine, peer = (statistics.median(fit.seconds for fit in fits) for fits in (ours, theirs))
    return Result(
        f"{algorithm} fits {BARS[algorithm]:g} times as fast as scikit-surprise with the same parameters",
        mine,
        peer,
        "s",
        peer / mine,
        BARS[algorithm],
        {"n_threads": cores(), "all": [[round(fit.seconds, 4) for fit in fits] for fits in (ours, theirs)]},
    )


def error(algorithm: Algorithm, name: str, ours: list[Fit], theirs: list[Fit]) -> Result:
    """Compare mean errors; the ratio is above 1 if ours is at most 0.001 above the peer's."""
    mine, peer = (statistics.mean(fit.rmse for fit in fits) for fits in (ours, theirs))
    claim = f"the RMSE of {algorithm} on {name} is at most {MORE_ERROR} above scikit-surprise's"
    return Result(claim, mine, peer, "RMSE", (peer + MORE_ERROR) / mine, 1.0, {"n_splits": len(ours)})

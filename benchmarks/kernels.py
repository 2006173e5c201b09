"""Seconds of a fit by the kernels that `train`'s image brings, beside those compiled for this very processor."""

import os
import statistics
from typing import Final
from unittest.mock import patch

from benchmarks.alone import alone
from benchmarks.ratings import made_up
from benchmarks.report import Result
from functions.train import core, timed
from infra.images.kernels import PROCESSOR
from shared.events import ALGORITHMS, Algorithm

ROUNDS: Final = 7
FITS: Final = 2
N_RATINGS: Final = 1_000_000
BAR: Final = 1 / 1.25


def run() -> list[Result]:
    """Fit in turn, each time in a fresh process, on one thread; kernels for any processor at all stand beside."""
    return [compared(algorithm) for algorithm in ALGORITHMS]


def compared(algorithm: Algorithm) -> Result:
    """Compare medians."""
    rounds = [[seconds(algorithm, name) for name in (PROCESSOR, "", "generic")] for _ in range(ROUNDS)]
    ours, native, generic = (statistics.median(each) for each in zip(*rounds, strict=True))
    claim = f"{algorithm} by the image's kernels, {PROCESSOR}, takes at most 1.25 times as long as by this processor's"
    return Result(claim, ours, native, "s", native / ours, BAR, {"generic": generic, "ratings": N_RATINGS})


def seconds(algorithm: Algorithm, processor: str) -> float:
    """Return the fastest of a few fits by kernels for a processor, by LLVM's name; for this one if it is empty."""
    told = {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": ""} if processor else {}
    with patch.dict(os.environ, told):
        return float(alone(fastest, algorithm))


def fastest(algorithm: Algorithm) -> float:
    """Return the seconds of the fastest fit."""
    ratings = made_up(N_RATINGS)
    order = core.Order(algorithm, core.DEFAULTS[algorithm], 0, 1)
    return min(timed.fit(ratings, order)[1] for _ in range(FITS))

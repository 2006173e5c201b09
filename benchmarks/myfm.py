"""Error and seconds beside Bayesian matrix factorisation (myfm, rank 10, 200 samples), on random splits."""

import contextlib
import io
import statistics
import time

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from benchmarks import trainers
from benchmarks.ratings import TUNED, Parted, parted, sample
from benchmarks.report import Result
from shared.events import ALGORITHMS

N_SPLITS, RANK, SAMPLES = 5, 10, 200


def run() -> list[Result]:
    """Fit the same splits, in turn; SVD++ must come within 1 % of the error, in a quarter of the seconds."""
    splits = [parted(sample(), 0.8, seed) for seed in range(N_SPLITS)]
    fits = [
        {name: trainers.fitted(name, split, 0, "marquee", TUNED) for name in ALGORITHMS} | {"myfm": myfm(split)}
        for split in splits
    ]
    seconds = {name: statistics.median(each[name].seconds for each in fits) for name in fits[0]}
    errors = {name: statistics.mean(each[name].rmse for each in fits) for name in fits[0]}
    details = {
        "seconds": {n: round(s, 4) for n, s in seconds.items()},
        "rmse": {n: round(e, 5) for n, e in errors.items()},
    }
    mine, peer = errors["svdpp"], errors["myfm"]
    return [
        Result(
            "tuned SVD++ comes within 1 % of Bayesian factorisation's RMSE",
            mine,
            peer,
            "RMSE",
            peer / mine,
            1 / 1.01,
            details,
        ),
        Result(
            "tuned SVD++ takes at most a quarter of its seconds",
            seconds["svdpp"],
            seconds["myfm"],
            "s",
            seconds["myfm"] / seconds["svdpp"],
            4.0,
            details,
        ),
    ]


def myfm(split: Parted, n_samples: int = SAMPLES) -> trainers.Fit:
    """Return the seconds of sampling, and the RMSE of the mean of all samples' predictions."""
    from myfm import MyFMRegressor

    shape = split.train.ratings.shape
    rows, columns, values = split.train.triples()
    engine = MyFMRegressor(rank=RANK, random_seed=0)
    train, rest = indicators(rows, columns, shape), indicators(split.rows, split.columns, shape)
    with contextlib.redirect_stderr(io.StringIO()):
        started = time.perf_counter()
        engine.fit(train, values, n_iter=n_samples, n_kept_samples=n_samples, group_shapes=list(shape))
        seconds = time.perf_counter() - started
    return trainers.Fit(seconds, split.rmse_of(engine.predict(rest)))


def indicators(rows: NDArray[np.int32], columns: NDArray[np.int32], shape: tuple[int, int]) -> sparse.csr_matrix:
    """Return one row for each rating, with a 1 for its user and a 1 for its movie."""
    n = len(rows)
    places = np.column_stack([rows, columns + shape[0]]).ravel()
    return sparse.csr_matrix((np.ones(2 * n), (np.repeat(np.arange(n), 2), places)), shape=(n, sum(shape)))

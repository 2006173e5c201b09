"""What each thing that is done for accuracy brings: the error with it, beside the error without it."""

import statistics
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from benchmarks.ratings import SAMPLE, TUNED, Parted, parted, sample
from benchmarks.report import Result
from cli.ratings import read_ratings
from functions.build_matrix import core as building
from functions.build_matrix import gather
from functions.evaluate_offline.core import rmse_on
from functions.train import core, descent
from infra.local.machine import ROOT
from shared.adapters.yaml_file import read_yaml
from shared.events import ALGORITHMS, Algorithm
from shared.matrix import RatingMatrix, Split
from shared.model import FactorModel

N_SPLITS: Final = 5
WITHOUT: Final[dict[str, core.Parameters | Mapping[Algorithm, core.Parameters]]] = {
    "steps that shrink": replace(TUNED, lr_final=1.0),
    "a smaller step for biases": replace(TUNED, lr_bias=None),
    "factors that begin small": replace(TUNED, init_std=0.1),
    "64 factors instead of 20": replace(TUNED, n_factors=20),
    "all of these, with the usual defaults": core.DEFAULTS,
}
WARM_MARGIN: Final = 1.002
"""So much above a cold start's may the error after a third of its passes be; seeds differ by as much."""


def run() -> list[Result]:
    """Measure on random splits of the sample, and what has to do with time on its newest tenth."""
    splits = [parted(sample(), 0.8, seed) for seed in range(N_SPLITS)]
    return [*ablations(splits), *(each for algorithm in ALGORITHMS for each in (stranger(algorithm), warm(algorithm)))]


def ablations(splits: list[Parted]) -> list[Result]:
    """Take one thing away at a time."""
    results = []
    for algorithm in ALGORITHMS:
        whole = mean_rmse(splits, algorithm, TUNED)
        for what, parameters in WITHOUT.items():
            other = parameters if isinstance(parameters, core.Parameters) else parameters[algorithm]
            rmse = mean_rmse(splits, algorithm, other)
            results.append(Result(f"{algorithm}: {what}", whole, rmse, "RMSE", rmse / whole, 1.0))
    return results


def mean_rmse(splits: list[Parted], algorithm: Algorithm, parameters: core.Parameters) -> float:
    """Return the mean error over the splits."""
    return statistics.mean(split.rmse(core.fit(split.train, algorithm, parameters, 0)) for split in splits)


def stranger(algorithm: Algorithm) -> Result:
    """Compare the average user at zero with what descent leaves there, for new users on the newest tenth."""
    newest = newest_tenth()
    centred = core.fit(newest.train, algorithm, core.DEFAULTS[algorithm], 0)
    found = descent.fit(newest.train.ratings, algorithm, core.DEFAULTS[algorithm], 0, 1, lambda *_: None)
    plain = replace(centred, mean=found.mean, user_bias=found.user_bias, item_bias=found.item_bias)
    plain = replace(plain, user_factors=found.user_factors, item_factors=found.item_factors)
    mine, peer = (error(newest, model) for model in (centred, plain))
    return Result(f"{algorithm}: the average user at zero", mine, peer, "RMSE", peer / mine, 1.0)


def warm(algorithm: Algorithm) -> Result:
    """Compare a warm start with a cold one of three times the passes, after 11 % more ratings."""
    parameters = core.parameters(read_yaml(ROOT / "params.yaml"))[algorithm]
    newest = newest_tenth()
    base = core.fit(earlier(), algorithm, parameters, 0)
    cold = error(newest, core.fit(newest.train, algorithm, parameters, 0))
    mine = error(newest, core.fit(newest.train, algorithm, parameters.warmed(), 0, warm=base))
    details = {"before": error(newest, base), "passes": [parameters.warmed().n_epochs, parameters.n_epochs]}
    claim = f"{algorithm}: a warm start beside a cold one of three times the passes"
    return Result(claim, mine, cold, "RMSE", WARM_MARGIN * cold / mine, 1.0, details)


def newest_tenth() -> Split:
    """Return all ratings of the sample, the newest tenth to measure on."""
    return building.build(gather.ratings(read_ratings(SAMPLE).to_batches()), 0.1)


def earlier() -> RatingMatrix:
    """Return the oldest 81 % of the ratings: nine tenths of those that `newest_tenth` trains on."""
    ratings = read_ratings(SAMPLE).sort_by("time")
    return building.build(gather.ratings(ratings.slice(0, round(0.81 * len(ratings))).to_batches()), 0.0).train


def error(split: Split, model: FactorModel) -> float:
    """Return a model's error on the validation ratings."""
    rmse = rmse_on(model, split.validation)
    assert rmse is not None
    return rmse

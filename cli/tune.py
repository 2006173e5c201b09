"""Search parameters by predicting later ratings from earlier ones, many trials at once, with optuna."""

import multiprocessing
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import optuna
import pyarrow as pa
import yaml
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from cli.ratings import read_ratings
from functions.build_matrix import core as building
from functions.build_matrix import gather
from functions.evaluate_offline.core import rmse_on
from functions.train import core
from functions.train.tastes import Watched
from shared import accuracy
from shared.adapters.processes import die_with_parent
from shared.adapters.yaml_file import read_yaml
from shared.errors import BadInput
from shared.events import Algorithm
from shared.matrix import Split

HELD_BACK: Final = 0.1
"""The share of the newest ratings that the search never sees."""

FOLDS: Final = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""A trial is trained six times, on so much of the other ratings, the oldest, and measured on the next tenth."""

_ENDED: Final = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Plan:
    """What to search, on which ratings, how long, how many trials at once, and where they are kept."""

    ratings: Path
    algorithm: Algorithm
    n_trials: int
    study: Path
    n_jobs: int
    seed: int


class Fold(NamedTuple):
    """Older ratings to train on with newer ones to measure on, and how they are watched, which no parameter changes."""

    split: Split
    watched: Watched


def tune(plan: Plan, params: Path, on_trial: Callable[[int], None]) -> dict[str, Any]:
    """Search, write the winner to a YAML file, return it with its errors beside those of others. Raises: BadInput."""
    others = core.parameters(read_yaml(params)) if params.exists() else {}
    newest = _fold(plan, read_ratings(plan.ratings).sort_by("time"), 1.0, HELD_BACK)
    matrix_id = newest.split.matrix_id
    study = _study(plan, matrix_id, plan.seed)
    if not study.trials:
        default = core.DEFAULTS[plan.algorithm]
        study.enqueue_trial({**default.as_dict(), "lr_bias": default.lr})
    with ProcessPoolExecutor(plan.n_jobs, multiprocessing.get_context("spawn"), initializer=_begin) as pool:
        searches = [pool.submit(_search, plan, matrix_id, plan.seed + job) for job in range(plan.n_jobs)]
        try:
            _wait(searches, study, on_trial)
        except KeyboardInterrupt:
            for process in multiprocessing.active_children():
                process.terminate()
            raise
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        raise BadInput(f"{plan.ratings}: every trial diverged")
    rounded = {
        name: float(f"{value:.3g}") if isinstance(value, float) else value for name, value in study.best_params.items()
    }
    winner = core.parameters({plan.algorithm: rounded})
    whole = {name: each.as_dict() for name, each in sorted({**others, **winner}.items())}
    try:
        params.write_text(yaml.safe_dump(whole, sort_keys=False))
    except OSError as error:
        raise BadInput(f"{params}: {error}") from error
    return {
        "parameters": winner[plan.algorithm].as_dict(),
        "n_trials": len(study.trials),
        "rmse_of_search": study.best_value,
        "rmse": {
            "tuned": _rmse(newest, plan.algorithm, winner[plan.algorithm], plan.seed),
            "defaults": _rmse(newest, plan.algorithm, core.DEFAULTS[plan.algorithm], plan.seed),
            "biases": _rmse_of_biases(newest.split),
        },
    }


def _begin() -> None:
    """Leave an interruption to the process that asked for the search, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()


def _study(plan: Plan, matrix_id: str, seed: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(plan.study))),
            sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True),
            study_name=f"{plan.algorithm} on {matrix_id}",
            load_if_exists=True,
        )
    except (OSError, ValueError, AssertionError, LookupError, TypeError) as error:  # whatever a foreign file provokes
        raise BadInput(f"{plan.study}: not a study of `marquee tune`, or not to be written; choose another") from error


def _search(plan: Plan, matrix_id: str, seed: int) -> None:
    """Run trials until there are enough, together with other processes."""
    study = _study(plan, matrix_id, seed)
    tenth = (1 - HELD_BACK) / 10
    ratings = read_ratings(plan.ratings).sort_by("time")
    folds = [_fold(plan, ratings, (1 - HELD_BACK) * share + tenth, tenth) for share in FOLDS]
    if _n_ended(study) >= plan.n_trials:
        return
    study.optimize(
        lambda trial: _trial(trial, plan, folds),
        callbacks=[optuna.study.MaxTrialsCallback(plan.n_trials, states=_ENDED)],
    )


def _trial(trial: optuna.Trial, plan: Plan, folds: list[Fold]) -> float:
    parameters = core.Parameters(
        n_factors=trial.suggest_categorical("n_factors", [8, 16, 20, 32, 48, 64, 96, 100, 128]),
        n_epochs=trial.suggest_int("n_epochs", 5, 100, log=True),
        lr=trial.suggest_float("lr", 0.001, 0.05, log=True),
        reg=trial.suggest_float("reg", 0.01, 0.2, log=True),
        lr_bias=trial.suggest_float("lr_bias", 0.001, 0.05, log=True),
        lr_final=trial.suggest_float("lr_final", 0.01, 1, log=True),
        init_std=trial.suggest_float("init_std", 0.003, 0.2, log=True),
    )
    try:
        return float(np.mean([_rmse(fold, plan.algorithm, parameters, plan.seed) for fold in folds]))
    except core.Diverged as error:
        raise optuna.TrialPruned from error


def _wait(searches: list[Future[None]], study: optuna.Study, on_trial: Callable[[int], None]) -> None:
    while not all(each.done() for each in searches):
        on_trial(_n_ended(study))
        time.sleep(0.3)
    for each in searches:
        each.result()
    on_trial(_n_ended(study))


def _n_ended(study: optuna.Study) -> int:
    return len(study.get_trials(deepcopy=False, states=_ENDED))


def _fold(plan: Plan, ratings: pa.Table, until: float, newest: float) -> Fold:
    """Return the oldest `until` of ratings in order of time, the newest of them, `newest` of all, to validate with."""
    oldest = gather.ratings(ratings.slice(0, round(until * len(ratings))).to_batches())
    split = building.build(oldest, newest / until)
    if not split.train.n_ratings or not split.validation.n_ratings:
        raise BadInput(f"{plan.ratings}: {len(ratings)} ratings are too few, or all of one time, to search on")
    return Fold(split, core.watch(split.train, plan.seed))


def _rmse(fold: Fold, algorithm: Algorithm, parameters: core.Parameters, seed: int) -> float:
    model = core.fit(fold.split.train, algorithm, parameters, seed, watched=fold.watched)
    rmse = rmse_on(model, fold.split.validation)
    assert rmse is not None
    return rmse


def _rmse_of_biases(split: Split) -> float:
    rows, columns, truth = split.validation.triples()
    fitted = accuracy.biases(*split.train.triples(), split.train.ratings.shape)
    return accuracy.rmse(truth, fitted.predict(rows, columns))

"""A fit with its seconds: the fit alone, its compiled code loaded and what any engine needs besides found before."""

import os
import time

from threadpoolctl import threadpool_info

from functions.train import core
from functions.train.tastes import Watched
from shared.matrix import RatingMatrix
from shared.model import FactorModel


def fit(
    ratings: RatingMatrix,
    order: core.Order,
    warm: FactorModel | None = None,
    on_epoch: core.OnEpoch = lambda _epoch, _rmse: None,
    watched: Watched | None = None,
) -> tuple[FactorModel, float]:
    """Return what `core.fit` does for an order, and the seconds that it took."""
    core.ready(order.engine)
    watched = watched or core.watch(ratings, order.seed)
    started = time.perf_counter()
    model = core.fit(
        ratings,
        order.algorithm,
        order.parameters,
        order.seed,
        on_epoch,
        engine=order.engine,
        n_threads=order.n_threads,
        warm=warm,
        watched=watched,
    )
    return model, time.perf_counter() - started


def processor() -> dict[str, str]:
    """Return what numbers are made by here: the target of the engine's loops, and of the kernels that OpenBLAS chose.

    In images the loops' is a level that many processors have, else it is this one.
    """
    import llvmlite.binding  # after a fit it is loaded anyway

    loops = os.environ.get("NUMBA_CPU_NAME") or str(llvmlite.binding.get_host_cpu_name())
    kernels = {str(each.get("architecture")) for each in threadpool_info() if each.get("internal_api") == "openblas"}
    return {"loops": loops, "blas": ", ".join(sorted(kernels))}

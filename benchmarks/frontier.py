"""Draw docs/frontier.svg: error against seconds on the sample, for SVD, SVD++, scikit-surprise, LIBMF and myfm."""

from dataclasses import replace
from typing import Final

import matplotlib as mpl
from matplotlib import pyplot

from benchmarks import libmf, myfm, trainers
from benchmarks.ratings import TUNED, Parted, parted, sample
from benchmarks.report import Result
from functions.train import core
from infra.local.machine import ROOT
from shared.events import ALGORITHMS

PICTURE: Final = ROOT / "docs/frontier.svg"
PASSES: Final = (2, 5, 10, 16, 24)
NAMES: Final = {"svd": "SVD", "svdpp": "SVD++"}
COLOURS: Final = {"SVD++": "tab:red", "SVD": "tab:blue", "LIBMF": "tab:green", "myfm": "tab:purple"}
Curve = list[trainers.Fit]


def run() -> list[Result]:
    """Fit one random 80/20 split with more and more passes; draw what came out."""
    split = parted(sample(), 0.8, seed=0)
    curves = curves_of(split)
    draw(curves)
    best = {name: min(rmse for _, rmse in curve) for name, curve in curves.items()}
    mine, peer = best["SVD++, tuned"], best["myfm"]
    return [
        Result(
            "the least RMSE of tuned SVD++ is within 1 % of Bayesian factorisation's",
            mine,
            peer,
            "RMSE",
            peer / mine,
            1 / 1.01,
            {name: [(round(s, 4), round(e, 4)) for s, e in curve] for name, curve in curves.items()},
        )
    ]


def curves_of(split: Parted) -> dict[str, Curve]:
    """Return (seconds, RMSE) of each engine, pass after pass, slowest last."""
    triples = libmf.libmf_ratings(split)
    curves: dict[str, Curve] = {}
    for algorithm in ALGORITHMS:
        name, defaults = NAMES[algorithm], core.DEFAULTS[algorithm]
        ways: list[tuple[str, core.Engine, core.Parameters, tuple[int, ...]]] = [
            (f"{name}, tuned", "marquee", TUNED, PASSES),
            (f"{name}, defaults", "marquee", defaults, PASSES),
            (f"{name}, defaults, scikit-surprise", "surprise", defaults, PASSES[:4]),
        ]
        for how, engine, parameters, passes in ways:
            curves[how] = [
                trainers.fitted(algorithm, split, 0, engine, replace(parameters, n_epochs=n)) for n in passes
            ]
    curves["LIBMF"] = [libmf.libmf(split, triples, n) for n in PASSES]
    curves["myfm"] = [myfm.myfm(split, n) for n in (20, 50, 200)]
    return curves


def draw(curves: dict[str, Curve]) -> None:
    """Write the picture: one colour an algorithm, one dash an implementation, both axes labelled."""
    mpl.rcParams["svg.hashsalt"] = "marquee"
    figure, axes = pyplot.subplots(figsize=(9, 5), layout="constrained")
    for name, curve in curves.items():
        seconds, errors = zip(*curve, strict=True)
        colour = next((colour for start, colour in COLOURS.items() if name.startswith(start)), "black")
        dash = "--" if "surprise" in name else ":" if "defaults" in name else "-"
        axes.plot(seconds, errors, dash, marker="o", markersize=4, color=colour, label=name)
    axes.set(
        xscale="log",
        xlabel="seconds of a fit, two cores",
        ylabel="RMSE on the other fifth",
        title="movielens-small, one random 80/20 split, 2 to 24 passes",
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(PICTURE, metadata={"Date": None})
    pyplot.close(figure)

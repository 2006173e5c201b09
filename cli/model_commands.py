"""`marquee train`, `tune`, `predict`, `evaluate` and `recommend`: models and files, without any server."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, TaskID
from rich.table import Table

from cli import offline
from cli.console import out, progress
from cli.ratings import read_titles
from functions.train.engine import Engine, Order
from shared.events import ALGORITHMS, Algorithm
from shared.recommendation import Explanation
from shared.settings import cores
from shared.words import words

RatingsFile = Annotated[
    Path, typer.Option("--ratings", help="CSV with user_id, movie_id, rating and perhaps timestamp; .gz is unpacked.")
]
ModelFolder = Annotated[Path, typer.Option("--model", help="The folder of the model.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a machine to read.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(train)
    app.command()(tune)
    app.command()(predict)
    app.command()(evaluate)
    app.command()(recommend)


def train(
    ratings: RatingsFile,
    model: ModelFolder,
    algorithm: Annotated[Algorithm, typer.Option(help="The algorithm.")] = "svd",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The same seed gives the same model.")] = 0,
    engine: Annotated[Engine, typer.Option(help="Marquee's own trainer, or scikit-surprise's to compare.")] = "marquee",
    n_factors: Annotated[int | None, typer.Option(min=1, max=1000, help="Factors of a user and a movie.")] = None,
    n_epochs: Annotated[int | None, typer.Option(min=1, max=1000, help="Passes over the ratings.")] = None,
    lr: Annotated[float | None, typer.Option(help="The step of gradient descent.")] = None,
    reg: Annotated[float | None, typer.Option(help="The weight of regularisation.")] = None,
    patience: Annotated[
        int | None, typer.Option(min=0, help="Stop after so many passes that made held-out training ratings no better.")
    ] = None,
    params: Annotated[
        Path | None, typer.Option(help="A YAML file of parameters, as `marquee tune` writes; options go before it.")
    ] = None,
    warm_from: Annotated[
        Path | None, typer.Option(help="The folder of a model to start from; a third of the passes are made.")
    ] = None,
    n_threads: Annotated[
        int, typer.Option(min=0, max=64, help="Threads, 0 for all cores. As many give the same model bit by bit.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Fit a model to all ratings of a file.

    The parameters are scikit-surprise's defaults, or those of --params. `fit_seconds` is the fit alone.

    Example: marquee train --ratings data/movielens-small/ratings.csv.gz --algorithm svd --model /tmp/svd
    """
    if warm_from and n_factors is None and params is None:
        n_factors = offline.load(warm_from).item_factors.shape[1]
    given = {"n_factors": n_factors, "n_epochs": n_epochs, "lr": lr, "reg": reg, "patience": patience}
    changes = {name: value for name, value in given.items() if value is not None}
    parameters = offline.parameters(algorithm, params, changes)
    order = Order(algorithm, parameters.warmed() if warm_from else parameters, seed, n_threads or cores(), engine)
    with progress() as bars:
        bar = bars.add_task(f"fitting {algorithm}", total=order.parameters.n_epochs)
        report = offline.train(ratings, model, order, warm_from, partial(_show_done, bars, bar))
    show(report, as_json)


def tune(
    ratings: RatingsFile,
    algorithm: Annotated[Algorithm | None, typer.Option(help="The algorithm; both if not given.")] = None,
    n_trials: Annotated[int, typer.Option(min=1, help="Trials in all, a few more when several run at once.")] = 200,
    params: Annotated[Path, typer.Option(help="The YAML file to write the winners to.")] = Path("params.yaml"),
    study: Annotated[Path, typer.Option(help="Where trials are kept, to go on after a stop.")] = Path("tune.journal"),
    n_jobs: Annotated[int, typer.Option(min=0, max=64, help="Trials at once, 0 for one a core.")] = 0,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The seed of the fits and of the search.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Search the parameters that predict the ratings after a moment best from those before it.

    The newest tenth of the ratings takes no part; in the end the winner, the defaults and the bias-only baseline are
    measured on it. Stop it whenever you like: the same command goes on where it was.

    Example: marquee tune --ratings data/movielens-small/ratings.csv.gz --n-trials 300
    """
    from cli import tune as search  # optuna takes a second to load, which no other command needs

    with progress() as bars:
        reports = {}
        for each in [algorithm] if algorithm else ALGORITHMS:
            bar = bars.add_task(f"tuning {each}", total=n_trials)
            plan = search.Plan(ratings, each, n_trials, study, n_jobs or cores(), seed)
            reports[each] = search.tune(plan, params, partial(_show_done, bars, bar))
    if as_json:
        out.print_json(data=reports)
        return
    for report in reports.values():
        show(report, as_json=False)


def predict(
    model: ModelFolder,
    pairs: Annotated[Path, typer.Option(help="CSV with user_id and movie_id.")],
    to: Annotated[Path, typer.Option("--out", help="CSV to write: the pairs, and the rating that is expected.")],
    as_json: AsJson = False,
) -> None:
    """Write the rating that each user would give each movie.

    A user or a movie that the model does not know counts as average.

    Example: marquee predict --model /tmp/svd --pairs pairs.csv --out predictions.csv
    """
    show({"predictions": offline.predict(model, pairs, to), "file": str(to)}, as_json)


def evaluate(model: ModelFolder, ratings: RatingsFile, as_json: AsJson = False) -> None:
    """Measure a model on ratings that it was not trained on.

    Example: marquee evaluate --model /tmp/svd --ratings newer.csv --json
    """
    show(offline.evaluate(model, ratings), as_json)


def recommend(
    user: Annotated[str, typer.Argument(help="The user's id.")],
    model: ModelFolder,
    n: Annotated[int, typer.Option("-n", min=1, max=1000, help="How many movies.")] = 10,
    seen: Annotated[Path | None, typer.Option(help="CSV of ratings; what the user rated there is left out.")] = None,
    titles: Annotated[Path | None, typer.Option(help="CSV with movie_id and title, to print titles.")] = None,
    why: Annotated[bool, typer.Option("--why", help="Say of each movie why it stands there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the movies that a user is likely to watch and to like, and the rating to expect of each.

    A model does not know what users have rated; --seen names the ratings to leave out. A user that came after training
    is folded in from the ratings there.

    Example: marquee recommend 3 --model /tmp/svd --seen ratings.csv --titles data/movielens-small/movies.csv.gz
    """
    names = read_titles(titles) if titles else {}
    found = offline.recommend(model, user, n, seen)
    titled = {movie: each.title for movie, each in names.items()}
    if as_json:
        out.print_json(data=[_listed(each, titled, why) for each in found])
    elif why:
        for each in found:
            out.print(words(each, titled), markup=False, highlight=False)
    else:
        table = Table("movie", *(["title"] if names else []), "expected rating")
        for each in found:
            title_cell = [titled.get(each.movie, "")] if names else []
            table.add_row(each.movie, *title_cell, f"{each.rating:.2f}")
        out.print(table)


def _listed(each: Explanation, titles: Mapping[str, str], why: bool) -> dict[str, Any]:
    title = {"title": titles[each.movie]} if each.movie in titles else {}
    reasons = {"why": each.model_dump()} if why else {}
    return {"movie_id": each.movie, **title, "rating": round(each.rating, 4), **reasons}


def _show_done(bars: Progress, bar: TaskID, done: int, _rmse: float | None = None) -> None:
    bars.update(bar, completed=done)


def show(report: dict[str, Any], as_json: bool) -> None:
    """Print a report for a machine or for a person."""
    if as_json:
        out.print_json(data=report)
        return
    table = Table(show_header=False)
    for name, value in report.items():
        inner = value if isinstance(value, dict) else {"": value}
        for part, cell in inner.items():
            table.add_row(f"{name} {part}".strip(), f"{cell:.4f}" if isinstance(cell, float) else str(cell))
    out.print(table)

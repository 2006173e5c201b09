"""The end of the demo: what happened, in tables that a person enjoys reading."""

import math
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cli.ratings import Titles
from cli.site import Asked
from shared import bootstrap


class Recommended(NamedTuple):
    """An answer of `recommend`: the movies, how they were found, and why the first of them, in words."""

    movies: list[str]
    rung: str
    model: str
    why: str


class Example(NamedTuple):
    """A user, what the user rated highest, and what was recommended."""

    user_id: str
    likes: list[str]
    recommended: Recommended


def recommended(url: str, user_id: str) -> Recommended:
    """Return what is recommended to a user now."""
    with urllib.request.urlopen(f"{url}/recommend/{user_id}?n=10", timeout=5) as answer:
        movies = answer.read().decode().strip().split(",")
        rung, model = answer.headers["x-marquee-rung"], answer.headers["x-marquee-model"]
    return Recommended(movies, rung, model, _why(url, user_id, movies[0]))


def _why(url: str, user_id: str, movie: str) -> str:
    try:
        with urllib.request.urlopen(f"{url}/explain/{user_id}/{quote(movie)}", timeout=5) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError:  # a popular movie has no reason of its own
        return ""


def show(
    console: Console,
    deps: bootstrap.Deps,
    asked: Asked,
    reports: Sequence[Mapping[str, Any]],
    example: Example,
    titles: Mapping[str, Titles],
) -> None:
    """Print the summary."""
    console.rule("[bold]What happened")
    console.print(Columns([_stream(deps), _quarantine(deps), _answers(asked)], padding=(0, 3)))
    console.print(_models(reports))
    console.print(_example(example, titles))
    if example.recommended.why:
        console.print(Panel(Text(example.recommended.why.strip()), title="Why the first of them", expand=False))


def _stream(deps: bootstrap.Deps) -> Table:
    table = Table("in the lake", "rows", title="Events")
    counts = deps.lake.counts()
    for kind, rows in sorted(counts.items(), key=lambda item: -item[1]):
        table.add_row(kind, f"{rows:,}")
    table.add_section()
    table.add_row("all", f"{sum(counts.values()):,}")
    table.add_row("lake version", str(deps.lake.version()))
    return table


def _quarantine(deps: bootstrap.Deps) -> Table:
    table = Table("reason", "lines", title="Quarantined, bytes kept")
    reasons = Counter(deps.lake.read("quarantine", ["reason"])["reason"].to_pylist())
    for reason, lines in reasons.most_common():
        table.add_row(reason, str(lines))
    return table


def _answers(asked: Asked) -> Table:
    table = Table("recommendations", "", title="Answers")
    for status, number in sorted(asked.statuses.items()):
        table.add_row(f"status {status}", str(number))
    for name, number in sorted((asked.rungs | asked.models).items(), key=lambda item: -item[1]):
        table.add_row(name, str(number))
    table.add_section()
    for percent in (50, 95, 99, 100):
        table.add_row(
            f"p{percent}" if percent < 100 else "slowest", f"{np.percentile(asked.milliseconds, percent):.1f} ms"
        )
    return table


def _models(reports: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="Models, on the newest tenth of the ratings they were built from")
    table.add_column(no_wrap=True)
    for name in ("RMSE", "known", "new", "HR@20", "NDCG@20", "covers", "fit"):
        table.add_column(name)
    first = reports[0]
    for name, errors in first["baselines"].items():
        table.add_row(name.replace("_", " "), _number(errors["rmse"]), style="dim")
    for report in reports:
        table.add_row(
            report["algorithm"],
            f"[bold]{_number(report['rmse'])}[/]",
            _number(_known_rmse(report["groups"])),
            _number(report["groups"]["new"]["rmse"]),
            _number(report["hr@20"]),
            _number(report["ndcg@20"]),
            f"{report['coverage']:.1%}",
            _seconds(report["fit_seconds"]),
        )
    share = first["groups"]["new"]["n"] / first["n_validation"]
    rejected = [
        f"{report['algorithm']} was rejected: {report['reason']}" for report in reports if not report["accepted"]
    ]
    whom = f"RMSE for users that training knew, and for new ones, who gave {share:.0%} of these ratings"
    table.caption = "\n".join([*rejected, whom])
    return table


def _known_rmse(groups: Mapping[str, Any]) -> float | None:
    """Return the error over all users that training saw."""
    known = [group for name, group in groups.items() if name != "new" and group["n"]]
    n = sum(group["n"] for group in known)
    return math.sqrt(sum(group["n"] * group["rmse"] ** 2 for group in known) / n) if n else None


def _example(example: Example, titles: Mapping[str, Titles]) -> Table:
    table = Table(title=f"User {example.user_id}: {example.recommended.rung}, by {example.recommended.model}")
    table.add_column("rated highest")
    table.add_column("recommended", style="bold")
    named = [[_title(movie, titles) for movie in movies] for movies in (example.likes, example.recommended.movies)]
    for number in range(max(map(len, named))):
        table.add_row(*(each[number] if number < len(each) else "" for each in named))
    return table


def _title(movie: str, titles: Mapping[str, Titles]) -> str:
    if movie not in titles:
        return f"movie {movie}"
    found = titles[movie]
    return f"{found.title} [dim]{found.genres}[/]"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"

"""What a drill came to: a page with pictures, and a summary of a few lines."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib import dates, pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.markup import escape
from rich.table import Table

from cli.drill.acts import Played
from cli.drill.stage import SERVICE
from cli.simulator import report as visits
from cli.simulator.driver import Played as Visits
from shared.decision import Decision
from shared.rollout import Change, What

mpl.use("agg")

_COLOURS: Final = {"promote": "tab:green", "hold": "tab:gray", "roll_back": "tab:red"}
_ENDS: Final[set[What]] = {"promoted", "rolled_back", "held"}


def table(acts: Sequence[Played]) -> Table:
    """Return the acts for people to read in a terminal."""
    found = Table("act", "expected", "", "seconds", "what happened", title="The drill")
    for act in acts:
        cells = act.title, act.expected, "ok" if not act.wrong else "WRONG", f"{act.seconds:.0f}", _story(act)
        found.add_row(*map(escape, cells))
    return found


def write(
    path: Path, acts: Sequence[Played], log: Sequence[Change], decisions: Sequence[Decision], crowd: Visits
) -> None:
    """Write the page: the acts, the canary's weight over time, and what was known of each canary when."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("report.html.j2").render(
        acts=acts,
        story=_story,
        service=SERVICE,
        log=log,
        moment=_moment,
        picture=_svg(draw(acts, log, decisions)),
        facts=visits.facts(crowd),
        seconds=sum(act.seconds for act in acts),
    )
    path.write_text(page)


def draw(acts: Sequence[Played], log: Sequence[Change], decisions: Sequence[Decision]) -> Figure:
    """Return the picture: weights above, confidence sequences below, one for each canary, the acts behind both."""
    figure, (above, below) = pyplot.subplots(
        2, 1, figsize=(11, 7), sharex=True, layout="constrained", height_ratios=[1, 2]
    )
    times = [_moment(change.at) for change in log]
    weights = _weights(log)
    above.step([*times, _end(acts)], [*weights, 0], where="post", color="tab:blue")
    above.set(ylabel="users of the canary, %", ylim=(-5, 105))
    for model in dict.fromkeys(decision.model_version for decision in decisions):
        _sequence(below, [decision for decision in decisions if decision.model_version == model])
    below.axhline(0, color="black", linewidth=0.8)
    below.set(ylabel="users who watch, canary - stable, points", ylim=(-40, 40))
    below.xaxis.set_major_formatter(dates.DateFormatter("%H:%M:%S", tz=UTC))  # type: ignore[no-untyped-call]
    for number, act in enumerate(acts):
        for axes in (above, below):
            axes.axvline(act.started_at, color="black", alpha=0.2)
        above.text(act.started_at, 108, f" {number + 1}", fontsize=9)
    for axes in (above, below):
        axes.grid(alpha=0.3)
    return figure


def _weights(log: Sequence[Change]) -> list[int]:
    """Return the canary's share of the users after each change."""
    weights, weight = [], 0
    for change in log:
        if change.what in {"canary", "deploying", "promoted", "rolled_back"}:
            weight = change.percent if change.what == "canary" else 0
        weights.append(weight)
    return weights


def _sequence(axes: Axes, decisions: Sequence[Decision]) -> None:
    """Draw the bounds of one canary's difference, and its verdicts as dots."""
    effects = [decision.evidence["verdict"]["effect"] for decision in decisions]
    times: list[Any] = [_moment(decision.decided_at) for decision in decisions]
    lower, upper = ([100 * effect[side] for effect in effects] for side in ("lower", "upper"))
    axes.fill_between(times, lower, upper, alpha=0.2, step="post", color="tab:blue")
    for verdict, colour in _COLOURS.items():
        shown = [
            (time, 100 * effect["estimate"])
            for time, effect, decision in zip(times, effects, decisions, strict=True)
            if decision.verdict == verdict and effect["estimate"] is not None
        ]
        axes.plot([time for time, _ in shown], [points for _, points in shown], ".", color=colour)


def _story(act: Played) -> str:
    """Return what happened, in words."""
    if act.wrong:
        return act.wrong
    ends = [change for change in act.changes if change.what in _ENDS]
    end = [f"{change.what.replace('_', ' ')}: {change.why}" for change in ends[:1]] or ["nothing moved"]
    return "; ".join([*act.notes, *end])


def _end(acts: Sequence[Played]) -> datetime:
    last = acts[-1]
    return datetime.fromtimestamp(last.started_at.timestamp() + last.seconds, UTC)


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1e6, UTC)


def _svg(figure: Figure) -> str:
    sink = io.StringIO()
    figure.savefig(sink, format="svg")
    pyplot.close(figure)
    return sink.getvalue()[sink.getvalue().index("<svg") :]

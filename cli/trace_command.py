"""`marquee trace`: where an answer came from."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.console import errors, out
from cli.trace.page import page
from cli.where import environment
from shared import answers, bootstrap
from shared.answers import Asked
from shared.errors import BadInput
from shared.provenance import Provenance
from shared.story import Story


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(trace)


def trace(
    answer: Annotated[
        str | None,
        typer.Argument(help="A line of the site's log about an answer, or its request id; - reads standard input."),
    ] = None,
    user: Annotated[str, typer.Option("--user", help="Whose answer it was, if there is neither.")] = "",
    at: Annotated[str, typer.Option("--at", help="And when, within a minute: 2026-11-25T10:00:00, UTC.")] = "",
    graph: Annotated[Path | None, typer.Option("--graph", help="Draw it into a file: .svg, .dot or .mmd.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Check manifests only, not the bytes of models and matrices.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a machine to read.")] = False,
) -> None:
    """Tell how an answer came to be: list, model, data, code, measures, and who put the model live.

    Everything is checked as it is read. Exits 1 if anything is missing or is not what it should be; what went because
    its time was over is told, and is no error. If several served lists fit, all are told.

    Example: marquee trace "2026-11-25T10:00:00,15,recommendation request host, status 200, result: 318, 296, 12 ms"

    Example: marquee trace 5f0c2e7a --graph story.svg
    """
    deps = bootstrap.build("trace", environment(), writes=False)
    known = _asked(answer, user, at, deps)
    provenance = Provenance(
        deps.objects,
        deps.artifacts,
        deps.lake,
        deps.settings.retain_served_days,
        deps.now(),
        deps.judge,
        checks_files=not quick,
    )
    stories, note = provenance.stories(known)
    if as_json:
        out.print_json(data={"note": note, "stories": [story.facts() for story in stories]})
    else:
        _print(stories, note)
    if graph:
        from cli.trace.graph import write  # matplotlib takes half a second to load

        write(stories[0], graph)
    if any(story.wrong for story in stories):
        raise typer.Exit(1)


def _print(stories: list[Story], note: str) -> None:
    """Print what is to be said of the list, the stories, and what is wrong: each once."""
    if any(note in thing.why for story in stories for thing in story.wrong):
        errors.print("[bold red]wrong:[/] ", end="")
    if note:
        errors.print(note, markup=False, highlight=False, soft_wrap=True, style="yellow")
    for story in stories:
        answer, *others = story.things
        if others or answer.condition == "whole":
            out.print(page(story), highlight=False, soft_wrap=True)
        for thing in story.wrong:
            for why in (why for why in thing.why if why != note):
                errors.print(f"[bold red]wrong:[/] {thing.kind} ", end="")
                errors.print(f"{thing.name}: {why}", markup=False, highlight=False, soft_wrap=True)


def _asked(answer: str | None, user: str, at: str, deps: bootstrap.Deps) -> Asked:
    if answer and not (user or at):
        text = sys.stdin.readline() if answer == "-" else answer
        return answers.asked(text, deps.now_us(), deps.settings.limits)
    if answer or not (user and at):
        raise BadInput("say which answer: by its log line, by its request id, or by --user and --at")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise BadInput(f"--at {at[:40]!r} is no time such as 2026-11-25T10:00:00") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return answers.of_user(user, round(moment.timestamp() * 1e6))

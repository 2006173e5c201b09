"""`marquee drill`."""

import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from cli.console import errors, out
from cli.drill import report
from cli.drill.acts import ACTS, Played
from cli.drill.stage import SETTINGS, OneMachine, Stage, crowd, machine
from infra.local.stack import Stack, running


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(drill)


def drill(
    rate: Annotated[
        float, typer.Option(min=10, max=100, help="Visits a second, if the machine can bear them: more decide sooner.")
    ] = 60.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same people.")] = 7,
    report_file: Annotated[Path, typer.Option("--report", help="Where the page with pictures goes.")] = Path(
        "drill.html"
    ),
) -> None:
    """Rehearse releases on this machine, on real parts, in about six minutes; nothing stays running.

    Users with planted tastes use the site all the while. Models go live, a better one is promoted, a bad one, an
    attacked one and one that dies are taken back, and one that nothing is known of is held. Ends with status 1 if
    any of it went otherwise, or anybody got no list.

    Example: marquee drill --report drill.html
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="marquee-drill-") as folder:
        stack = Stack(machine(Path(folder)), SETTINGS)
        with errors.status("starting Kafka, SeaweedFS, Envoy and the functions") as spinner:
            context = running(stack, on_step=spinner.update)
            context.__enter__()
        try:
            acts = play(Stage(OneMachine(stack), crowd(seed), rate), report_file)
        finally:
            with errors.status("stopping"):
                context.__exit__(None, None, None)
    out.print(report.table(acts))
    wrong = [act for act in acts if act.wrong]
    verdict = f"{len(wrong)} of {len(acts)} acts went wrong" if wrong else "Everything went as it should"
    out.print(f"{verdict}, in {time.monotonic() - began:.0f} seconds. {report_file} has the pictures.", highlight=False)
    if wrong:
        raise typer.Exit(1)


def play(stage: Stage, report_file: Path) -> list[Played]:
    """Play every act before the crowd, and write the page."""
    acts: list[Played] = []
    with stage.crowds.playing():
        for number, act in enumerate(ACTS, 1):
            with errors.status(f"act {number} of {len(ACTS)}: {act.title}; expected: {act.expected}"):
                acts.append(act.on(stage))
            said = f"WRONG: {acts[-1].wrong}" if acts[-1].wrong else "ok"
            errors.print(f"act {number}: {act.title}: {said} ({acts[-1].seconds:.0f} s)", highlight=False, markup=False)
    report.write(report_file, acts, stage.state.log, stage.decisions(), stage.crowds.played)
    return acts

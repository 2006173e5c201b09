"""`marquee up`, `down`, `status` and `logs`: the whole system on this machine."""

import subprocess
from typing import Annotated

import typer
from rich.table import Table

from cli.console import errors, out
from infra.local.machine import Machine
from infra.local.stack import Stack, dump_status
from shared.errors import BadInput, MarqueeError


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command()(logs)


def up() -> None:
    """Start Kafka, the S3 store, the router and every function, and leave them running.

    Everything listens on 127.0.0.1 and keeps its state in .marquee; MARQUEE_HOME and MARQUEE_PORT_OFFSET move both.

    Example: marquee up && curl http://127.0.0.1:8082/recommend/3
    """
    stack = Stack(Machine.from_env())
    started = stack.is_up
    try:
        with errors.status("starting") as spinner:
            stack.start(on_step=spinner.update)
    except MarqueeError:
        if not started:
            stack.stop()
        raise
    out.print(
        f"Marquee is up: [bold]{stack.machine.url('recommend')}/recommend/<userid>[/], logs in {stack.machine.logs}"
    )


def down() -> None:
    """Stop everything that `up` started, and nothing else; data stays."""
    with errors.status("stopping"):
        Stack(Machine.from_env()).stop()
    out.print("Marquee is down.")


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a machine to read.")] = False,
) -> None:
    """Say how every process does. Exits 1 unless all of them are healthy."""
    statuses = Stack(Machine.from_env()).status()
    if as_json:
        out.print_json(dump_status(statuses))
    else:
        table = Table("process", "state", "pid", "ports", "healthy")
        for each in statuses:
            healthy = "[green]yes[/]" if each.healthy else "[red]no[/]"
            table.add_row(each.name, each.state, str(each.pid or ""), ", ".join(map(str, each.ports)), healthy)
        out.print(table)
    if not all(each.healthy for each in statuses):
        raise typer.Exit(1)


def logs(
    name: Annotated[
        str, typer.Argument(help="A process, as `marquee status` names it; all of them if not given.")
    ] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of the last lines.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the logs grow.")] = False,
) -> None:
    """Print the last lines of a process's log, or of all logs.

    Example: marquee logs ingest -f
    """
    stack = Stack(Machine.from_env())
    if name and name not in stack.parts:
        raise BadInput(f"there is no process {name!r}; there are {', '.join(stack.parts)}")
    files = [path for each in ([name] if name else stack.parts) if (path := stack.machine.log(each)).exists()]
    if not files:
        raise BadInput(f"no logs in {stack.machine.logs}; `marquee up` makes some")
    subprocess.run(["tail", f"--lines={lines}", *(["--follow"] if follow else []), "--", *map(str, files)], check=False)

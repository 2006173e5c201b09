"""The `marquee` command: every verb, and what a person sees when one fails."""

import os
import signal
import sys
from importlib import metadata
from typing import Annotated

import typer

from cli import (
    demo_command,
    drill_command,
    forget_command,
    machine_commands,
    model_commands,
    reproduce_command,
    rollout_commands,
    simulate_command,
    stream_commands,
    trace_command,
)
from cli.console import errors
from shared.errors import MarqueeError, NotReady

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Movie recommendations from a stream of what people watch and rate.",
)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Say which version this is.")] = False,
) -> None:
    """Movie recommendations from a stream of what people watch and rate."""
    if show:
        typer.echo(f"marquee {metadata.version('marquee')}")
        raise typer.Exit


for commands in (
    machine_commands,
    stream_commands,
    model_commands,
    rollout_commands,
    simulate_command,
    demo_command,
    drill_command,
    forget_command,
    trace_command,
    reproduce_command,
):
    commands.register(app)


def run() -> None:
    """Run the command line; a failure is one clear message and status 2.

    Who is asked to end, as by a job that is cancelled, ends as by Ctrl-C: what was started is stopped.
    """
    for asked in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(asked, signal.default_int_handler)
    try:
        app()
    except MarqueeError as error:
        is_here = isinstance(error, NotReady) and "S3_ENDPOINT" not in os.environ
        hint = "\nIs Marquee up on this machine? `marquee status` tells, `make up` starts it." if is_here else ""
        errors.print(f"[bold red]error[/]: {_plain(str(error))}{hint}", highlight=False)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


if __name__ == "__main__":
    run()

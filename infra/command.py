"""How the commands of `python -m infra...` and `python -m cli.stages` end."""

import sys
from collections.abc import Callable

import typer

from shared.errors import MarqueeError


def run(app: Callable[[], object], said: Callable[[str], str] = str) -> None:
    """Run a command; a failure is one clear message, as `said` puts it, and status 2."""
    try:
        app()
    except MarqueeError as error:
        typer.echo(f"error: {said(str(error))}", err=True)
        sys.exit(2)

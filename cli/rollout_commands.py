"""`marquee rollout`: which models are live and why, and what a person may order."""

import typer

from cli.rollout import orders, seeing


def register(app: typer.Typer) -> None:
    """Add the commands."""
    commands = typer.Typer(no_args_is_help=True, help="Say which models are live and why, or order it otherwise.")
    for command in (seeing.status, seeing.wait, seeing.history):
        commands.command()(command)
    for order in (orders.promote, orders.rollback, orders.pause, orders.resume, orders.release, orders.weight):
        commands.command()(order)
    app.add_typer(commands, name="rollout")

"""`marquee forget`: what a person sees when somebody is erased."""

import json
from typing import Annotated

import typer
from rich.table import Table

from cli.console import errors, out, progress
from cli.forget import Report
from cli.forget import forget as erase
from cli.where import environment
from shared import bootstrap
from shared.errors import BadInput
from shared.lines import is_user_id


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(forget)


def forget(
    user: Annotated[str, typer.Argument(help="The site's id of the user, a whole number from 1.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a machine to read.")] = False,
) -> None:
    """Erase all that the bucket holds of a user, for ever, and prove it. Exits 1 if anything is left.

    Rows of the lake in all its versions, what has landed, models, matrices and their histories. From now on what comes
    in of the user is dropped, also when Kafka is read from the beginning; Kafka itself keeps lines as long as its own
    retention says. It can be stopped at any time: the next run completes it.

    Example: marquee forget 15
    """
    if not is_user_id(user):
        raise BadInput(f"{user[:40]!r} is no user id: it is a whole number from 1, below 10^18")
    if not yes and not typer.confirm(f"Erase all of user {user}? This cannot be undone", err=True):
        raise BadInput("nothing was erased")
    deps = bootstrap.build("forget", environment())
    with progress() as bars:
        tasks = {}

        def on_step(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what)
            bars.update(tasks[what], completed=done, total=of)

        report = erase(user, deps, 2 * deps.settings.channel_poll_seconds + 1, on_step)
    show(report, as_json=as_json)
    if report.left:
        raise typer.Exit(1)


def show(report: Report, *, as_json: bool) -> None:
    """Print what was erased, and what a search of everything that remains found."""
    if as_json:
        out.print_json(json.dumps(vars(report)))
        return
    if report.erased:
        table = Table("erased", "how many", "with copies in all versions")
        for what, number in sorted(report.erased.items()):
            n_rows = report.rows.get(what)
            table.add_row(what, f"{n_rows or number:,}", f"{number:,}" if n_rows else "")
        out.print(table)
    else:
        out.print("There was nothing to erase.")
    if report.left:
        errors.print(f"[bold red]{len(report.left)} of {report.n_searched:,} objects remain:[/]")
        for key, reason in sorted(report.left.items()):
            errors.print(f"  {key}: {reason}", markup=False, highlight=False)
    else:
        out.print(f"Nothing of the user is in any of the {report.n_searched:,} objects of the bucket.")

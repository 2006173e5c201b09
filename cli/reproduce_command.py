"""`marquee reproduce`: is a model what its manifest says made it?"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, get_args

import typer
from rich.table import Table
from rich.text import Text

from cli.console import errors, out
from cli.reproduce.run import Reproduced
from cli.reproduce.run import reproduce as make_again
from cli.where import environment
from infra.local.machine import ROOT
from shared import bootstrap
from shared.errors import BadInput
from shared.events import ALGORITHMS, Algorithm


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(reproduce)


def reproduce(
    model: Annotated[str, typer.Argument(help="The model, as answers name it: svd@27283b6d2d2f.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a machine to read.")] = False,
) -> None:
    """Make a model again from what its manifest says, and compare the bytes. Exits 1 if any differ.

    The code of its commit is checked out beside this one and reads the lake at its version; parameters, seed, threads
    and the model it started from are those of the manifest. Exits 2 if it cannot be done, and says why.

    Example: marquee reproduce svd@27283b6d2d2f
    """
    algorithm, version = _named(model)
    told = environment()
    deps = bootstrap.build("reproduce", told, writes=False)
    with errors.status("reading") as spinner:
        found = make_again(algorithm, version, ROOT, deps, told, spinner.update)
    if as_json:
        out.print_json(data={**asdict(found), "equal": found.equal})
    else:
        _print(found)
    if not found.equal:
        raise typer.Exit(1)


def _named(model: str) -> tuple[Algorithm, str]:
    algorithm, _, version = model.partition("@")
    for each in ALGORITHMS:
        if each == algorithm and version and "/" not in version:
            return each, version
    raise BadInput(f"{model[:60]!r} is no model: it is one of {', '.join(get_args(Algorithm))}, @, and a version")


def _print(found: Reproduced) -> None:
    table = Table("", "file", "bytes")
    for kind, files in {"matrix": found.matrix or {}, "model": found.model}.items():
        for row in _rows(kind, files):
            table.add_row(*row)
    out.print(table)
    for note in found.notes:
        out.print(note, markup=False, highlight=False)
    out.print("The same model, byte by byte." if found.equal else "Not the same.")


def _rows(kind: str, files: Mapping[str, list[str]]) -> list[tuple[str, str, Text]]:
    return [(kind, name, Text(_told(found), "red" if found else "green")) for name, found in files.items()]


def _told(found: list[str]) -> str:
    """Return what differs in a file: of much the first, which machines are told all of."""
    first, *others = found or ["equal"]
    return f"{first}; and {len(others)} more, all with --json" if others else first

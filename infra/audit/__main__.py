"""`python -m infra.audit`: known holes in what is locked, and licences of what is installed."""

import csv
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.audit import advisories, licences
from infra.command import run
from infra.local.machine import ROOT
from infra.provenance import tools
from shared.errors import BadInput, NotReady

REPORT: Final = Path("build/licences.csv")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Accepted(BaseModel):
    """The licence that a library is under, as its metadata has it, and why it may be."""

    model_config = ConfigDict(extra="forbid", strict=True)

    licence: str
    why: str


class Agreed(BaseModel):
    """[tool.marquee.audit] of pyproject.toml: licences, libraries under others, and advisories, each with a reason."""

    model_config = ConfigDict(extra="forbid", strict=True)

    licences: frozenset[str] = Field(strict=False)
    under_others: dict[str, Accepted]
    accepted_advisories: dict[str, str]


def agreed(file: Path = ROOT / "pyproject.toml") -> Agreed:
    """Return what was agreed to. Raises: BadInput."""
    try:
        return Agreed.model_validate(tomllib.loads(file.read_text())["tool"]["marquee"]["audit"])
    except (KeyError, TypeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise BadInput(f"{file}, [tool.marquee.audit]: {error}") from None


@app.command()
def audit(
    required: Annotated[
        bool, typer.Option(envvar="ADVISORIES_REQUIRED", help="Fail if there is anything that nobody could be asked.")
    ] = False,
    url: Annotated[
        str, typer.Option("--url", envvar="ADVISORIES_URL", help="A service that answers as OSV does; PyPI if empty.")
    ] = "",
) -> None:
    """Ask for known holes in every locked library, and look at every licence, of which build/licences.csv is the list.

    Exit code 0: nothing is wrong. 1: a hole, a licence that is not allowed, or, if that is required, no answer about
    holes. 2: it could not be done.
    """
    agreement = agreed()
    found = sorted({*licences.installed(), *licences.installed(tools.installed() / "python")})
    _write(REPORT, found)
    accepted = {library: each.licence for library, each in agreement.under_others.items()}
    refused = licences.refused(found, agreement.licences, accepted)
    answer, silent = _ask(agreement.accepted_advisories, url)
    for line in (*sorted(map(str, answer.holes)), *map(licences.refusal, refused)):
        typer.echo(line, err=True)
    n_known = answer.n_libraries - len(answer.unknown)
    typer.echo(f"{len(found)} licences in {REPORT}, {len(refused)} not allowed")
    typer.echo(f"{len(answer.holes)} known holes in the {n_known} libraries that advisories were to be had for")
    for each in silent:
        typer.echo(f"NOT KNOWN whether there are holes in {each}", err=True)
    if silent:
        typer.echo("ADVISORIES_URL may name a service that answers as OSV does", err=True)
    raise typer.Exit(1 if answer.holes or refused or (silent and required) else 0)


def _ask(accepted: Iterable[str], url: str) -> tuple[advisories.Answer, list[str]]:
    """Return what is known about all lists, and of each why the rest is not."""
    whole, silent = advisories.NONE, []
    for lists in advisories.LISTS:
        try:
            answer = advisories.ask(lists, accepted, url)
        except NotReady as error:
            silent.append(f"{lists[0]}: {error}")
            continue
        whole += answer
        if n := len(answer.unknown):
            silent.append(f"{lists[0]}: {n} of {answer.n_libraries} libraries, the first: {answer.unknown[0]}")
    return whole, silent


def _write(file: Path, found: Iterable[licences.Licensed]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(licences.Licensed._fields)
        rows.writerows(found)


def main() -> None:
    """Run the command; a failure is one clear message and status 2."""
    run(app)


if __name__ == "__main__":
    main()

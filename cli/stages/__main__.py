"""The stages of dvc.yaml, one command each: `python -m cli.stages fetch`; the gate after them, and the offer."""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from cli.stages import data, models, offers
from cli.stages.gate import gate as judge
from cli.stages.gate import live
from infra.command import run
from infra.local.machine import ROOT, Machine
from infra.provenance import release
from infra.provenance.git import public
from shared import bootstrap
from shared.events import ALGORITHMS, Algorithm

SOURCE: Final = Path("source.yaml")
DATA: Final = Path("data/fetched")
MATRIX: Final = Path("data/matrix")
MODELS: Final = Path("models")
METRICS: Final = Path("metrics")
PARAMS: Final = Path("params.yaml")

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

Chosen = Annotated[Algorithm, typer.Argument(help="The algorithm.")]


@app.command()
def pin() -> None:
    """Write into source.yaml which ratings `fetch` shall read: the sample, or the lake of BUCKET as it is now."""
    source = data.pinned()
    source.write(SOURCE)
    typer.echo(f"ratings come from {source}")


@app.command()
def fetch() -> None:
    """Read the ratings that source.yaml names."""
    typer.echo(f"{data.fetch(data.Source.read(SOURCE), DATA):,} ratings")


@app.command()
def matrix(validation_fraction: Annotated[float, typer.Option(min=0.0, max=0.9)]) -> None:
    """Build the matrix of the ratings that were fetched."""
    built = data.matrix(data.Source.read(SOURCE), DATA, MATRIX, validation_fraction)
    typer.echo(f"matrix {built.id}")


@app.command()
def train(
    algorithm: Chosen,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1)],
    n_threads: Annotated[int, typer.Option(min=1, max=64)],
) -> None:
    """Fit a model to the matrix, with the parameters in params.yaml."""
    model = models.train(algorithm, MATRIX, PARAMS, seed, n_threads, MODELS / algorithm)
    typer.echo(f"{algorithm} model {model.id}")


@app.command()
def evaluate(algorithm: Chosen) -> None:
    """Measure the model on the newest ratings."""
    metrics, groups = METRICS / f"{algorithm}.json", METRICS / f"{algorithm}-groups.csv"
    report = models.evaluate(MODELS / algorithm, MATRIX, metrics, groups)
    typer.echo(f"{algorithm} RMSE {report['rmse']}")


@app.command()
def gate(
    repository: Annotated[
        str, typer.Option(envvar="PROVENANCE_REPOSITORY", help="Where models are registered; this checkout.")
    ] = str(ROOT),
    margin: Annotated[float, typer.Option(envvar="RMSE_MARGIN", help="How much worse it may be.")] = 0.0,
) -> None:
    """Say of each model made here whether it may take the place of the one that is registered as live.

    Exit code 0: it may. 1: it is worse by more than the margin, or than predicting the mean. 2: nobody could say.
    """
    refused, told = False, Machine.from_env().environment | dict(os.environ)
    for algorithm in ALGORITHMS:
        word = judge(MODELS / algorithm, MATRIX, live(algorithm, repository, told), margin)
        refused |= not word.accepted
        typer.echo(f"{algorithm}: {'accepted' if word.accepted else 'refused'}: {word.reason}", err=not word.accepted)
    raise typer.Exit(1 if refused else 0)


@app.command()
def offer() -> None:
    """Give the models made here to the loop: they are measured beside the live ones, and those accepted get a trial."""
    commit = release.committed(ROOT, release.records(ROOT))
    deps = bootstrap.build("offer", Machine.from_env().environment | dict(os.environ))
    for line in offers.offer(ALGORITHMS, data.Source.read(SOURCE), MATRIX, MODELS, commit, deps):
        typer.echo(line)


def main() -> None:
    """Run the command; a failure is one clear message and status 2."""
    run(app, public)


if __name__ == "__main__":
    main()

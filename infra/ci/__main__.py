"""`python -m infra.ci`: run the stages here, or answer what Jenkins asks about models and users."""

import json
import os
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from infra import command
from infra.ci import age, registry
from infra.ci.clone import STORE, Clone
from infra.ci.online import newest_report
from infra.ci.run import Done, minutes, run
from infra.ci.stages import TARGETS, Stage, chosen
from infra.images.targets import PUSHED
from infra.local.machine import ROOT, Machine
from infra.local.stack import Stack, running
from shared import bootstrap

_LAST_LINES: Final = 30
_PORT_OFFSET: Final = 42_000

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command("run")
def stages(
    targets: Annotated[list[str] | None, typer.Argument(help="Which make targets; all if none is named.")] = None,
    folder: Annotated[Path | None, typer.Option(help="A new folder for clone and logs, to keep them.")] = None,
    cluster: Annotated[
        bool, typer.Option(help="Release to kubectl's cluster, too; BUCKET and S3_ENDPOINT say which its store is.")
    ] = False,
) -> None:
    """Do with the last commit what Jenkins does with it: clone it, test it, train models, build and push images.

    The images go to a registry that is started for it, and are read back from there by digest; the models, unless
    there is a cluster, to an S3 store that is started for it, too. Exits 1 if a target fails.

    Example: python -m infra.ci run lint test-lake images
    """
    wanted = chosen(targets or ())
    left_out = [stage for stage in wanted if stage.on_cluster and not cluster]
    with ExitStack() as stack:
        home = (folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="marquee-ci-")))).absolute()
        home.mkdir(parents=True, exist_ok=True)
        clone = Clone.of(ROOT, home, {"REGISTRY": stack.enter_context(registry.running(home))})
        if cluster:
            store = {name: os.environ[name] for name in STORE if name in os.environ}
        else:
            own = stack.enter_context(running(Stack(Machine(home / "store", _PORT_OFFSET)), ["s3"])).environment
            store = {name: own[name] for name in STORE if name != "BUCKET"}  # empty: the ratings are the sample's

        def make(stage: Stage, target: str) -> int:
            typer.echo(f"make {target}")
            return clone.make(target, store if stage.has_store else {})

        done: list[Done] = []
        for each in run([stage for stage in wanted if stage not in left_out], make):
            done.append(each)
            if each.status:
                _tell(clone.log(each.target))
        pushed = clone.folder / ".marquee/images" / PUSHED
        if pushed.exists():
            for reference in json.loads(pushed.read_text()).values():
                typer.echo(f"pulled {reference}, {registry.pull(reference) / 1e6:.0f} MB")
    typer.echo(minutes(done, left_out))
    raise typer.Exit(1 if any(each.status for each in done) else 0)


@app.command("targets")
def list_targets() -> None:
    """Print the make targets, in order, with commas between them."""
    typer.echo(",".join(TARGETS))


@app.command()
def due(
    hours: Annotated[float, typer.Option(min=0, help="How old a model may be.")] = 60,
    repository: Annotated[str, typer.Option(envvar="PROVENANCE_REPOSITORY", help="Where models are registered.")] = "",
) -> None:
    """Print whether the models are `fresh` or `old`: how long ago each algorithm's last one was registered in git."""
    found = age.newest(age.tags(ROOT, repository))
    typer.echo(age.age(found, datetime.now(UTC), timedelta(hours=hours)))


@app.command()
def online(file: Annotated[Path, typer.Argument(help="Where to write it.")]) -> None:
    """Write the newest online report: what users of each model on trial, and of the others, did."""
    deps = bootstrap.build("online-report", Machine.from_env().environment | dict(os.environ), writes=False)
    report = newest_report(deps.objects)
    if report is None:
        typer.echo("no user has been evaluated yet", err=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(report)
    typer.echo(f"{file}: {len(report)} bytes")


def _tell(log: Path) -> None:
    typer.echo("\n".join(log.read_text(errors="replace").splitlines()[-_LAST_LINES:]), err=True)


def main() -> None:
    """Run the command line; a failure is one clear message and status 2."""
    command.run(app)


if __name__ == "__main__":
    main()

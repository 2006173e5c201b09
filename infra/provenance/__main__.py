"""DVC, GTO and the registry of models: `python -m infra.provenance dvc repro`, `register`, `registrar`, `remote`."""

import os
import subprocess
from typing import Annotated, Final

import typer

from infra.command import run
from infra.local.machine import ROOT, Machine
from infra.provenance import registrar, release, tools
from infra.provenance.git import public
from infra.provenance.project import Place
from shared import bootstrap, keys

_THIS: Final = str(ROOT)

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

Repository = Annotated[
    str,
    typer.Option("--repository", envvar="PROVENANCE_REPOSITORY", help="Where models are registered; this checkout."),
]


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def dvc(context: typer.Context) -> None:
    """Run DVC in this checkout, with the project's Python for its stages."""
    command = [str(tools.installed() / "dvc"), *context.args]
    raise typer.Exit(subprocess.run(command, env=tools.told(_environment())).returncode)


@app.command()
def remote() -> None:
    """Tell DVC where its remote is, by BUCKET and S3_ENDPOINT, or on this machine; .dvc/config.local alone has it."""
    environment = _environment()
    told = {"url": f"s3://{environment['BUCKET']}/{keys.DVC}", "endpointurl": environment["S3_ENDPOINT"]}
    for name, value in told.items():
        tools.run("dvc", "remote", "modify", "--local", "bucket", name, value.rstrip("/"), cwd=ROOT)
    typer.echo(f"DVC keeps things at {told['url']} of {told['endpointurl']}; the keys are those of the environment")


@app.command()
def register(repository: Repository = _THIS) -> None:
    """Register the models that `make retrain` made here, with the code, the data and the metrics, by tags."""
    remote()
    tags = release.register(ROOT, repository, _environment())
    typer.echo(f"registered {', '.join(tags)} in {public(repository)}" if tags else "registered already")


@app.command(name="registrar")
def follow(
    repository: Repository = _THIS,
    branch: Annotated[str, typer.Option("--branch", help="The branch that the commits are on.")] = registrar.BRANCH,
) -> None:
    """Register every model of the bucket, and who is live, so far as that is not done; to be run again and again.

    Exit code 0: all is registered. 1: all but what is named. 2: it could not be done, and nothing was.
    """
    environment = _environment()
    deps = bootstrap.build("registrar", environment, writes=False)
    place = Place(deps.settings.bucket, deps.settings.s3_endpoint)
    report = registrar.run(deps.objects, repository, place, branch)
    typer.echo(f"registered {', '.join(report.tags)}" if report.tags else "nothing is new")
    for each in report.trouble:
        typer.echo(f"not registered: {each}", err=True)
    raise typer.Exit(1 if report.trouble else 0)


def _environment() -> dict[str, str]:
    """Return where the bucket is: on this machine, unless the environment says otherwise."""
    return Machine.from_env().environment | dict(os.environ)


def main() -> None:
    """Run the command; a failure is one clear message and status 2."""
    run(app)


if __name__ == "__main__":
    main()

"""From image digests to a finished, watched rollout: the exit code is 0 only if users are on the new images."""

import getpass
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from infra.deploy.kubectl import Kubectl
from infra.deploy.manifests import knative_services, read_images, setting, with_images, without
from infra.deploy.release import SCORES, Rollout
from infra.deploy.signatures import refuse_unsigned
from infra.local.machine import ROOT
from shared import bootstrap
from shared.errors import MarqueeError

OVERLAYS: Final = ROOT / "knative/overlays"
_SCORE: Final = "score"
_MORE_HOURS: Final = 1
"""What functions may need to be ready, and a canary to deploy, beside its trial."""

errors = Console(stderr=True)


def deploy(
    images: Annotated[
        Path, typer.Argument(help="images.json of `python -m infra.images build --push`, or {name: image}.")
    ],
    why: Annotated[str, typer.Option("--why", help="The reason; it is kept with the rollout.")],
    overlay: Annotated[str, typer.Option("--overlay", help="A folder of knative/overlays, or your own.")] = "rancher",
    who: Annotated[str, typer.Option("--who", help="Who orders it; the user of this shell if not given.")] = "",
    namespace: Annotated[str, typer.Option("--namespace")] = "marquee",
    cosign_key: Annotated[
        Path | None, typer.Option("--cosign-key", help="The public key that every image must be signed with.")
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes", min=0, help="How long it may take in all: CANARY_MAX_HOURS and an hour if not given."
        ),
    ] = None,
) -> None:
    """Apply an overlay with these images, and watch until every function is ready and users decided about `score`.

    Functions that have no image here keep the one that they run. New code of the models' services is a canary like a
    new model: it is promoted or rolled back by what users do, or held if they do too little. Exit code 0: all is live.
    1: something failed, was rolled back, or is held; what was live before still is, for most users if it is held. 2: it
    could not be done, or took too long.

    Example: python -m infra.deploy build/images.json --overlay rancher --why "build 117"
    """
    deps = bootstrap.build("deploy", writes=False)
    cluster = Kubectl(namespace)
    say = _line
    wanted = read_images(_text(images))
    if cosign_key:
        refuse_unsigned(wanted.values(), cosign_key)
    rendered = cluster.render(OVERLAYS / overlay)
    live = {name: found for name in knative_services(rendered) if (found := cluster.service(name))}
    documents = with_images(rendered, wanted, live)
    there = [name for name in SCORES if name in live]
    hours = setting(rendered, "CANARY_MAX_HOURS", deps.settings.canary_max_hours) + _MORE_HOURS
    seconds = 3600 * hours if minutes is None else 60 * minutes
    rollout = Rollout(cluster, deps.channels, deps.now_us, say, seconds)
    cluster.apply(without(documents, there))
    say(f"applied {overlay}; {', '.join(there) or 'no service of models'} left to rollout")
    wrong = rollout.wait_ready([name for name in knative_services(documents) if name not in SCORES])
    if _SCORE in wanted:
        wrong += rollout.release(there, wanted[_SCORE], who or getpass.getuser(), why)
    if wrong:
        errors.print("[bold red]not all is live:[/]", *wrong, sep="\n  ", highlight=False)
        raise typer.Exit(1)
    say("all is live")


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise typer.BadParameter(str(error)) from None


def _line(text: str) -> None:
    errors.print(text, highlight=False, markup=False)


def main() -> None:
    """Run the command; a failure is one clear message and status 2."""
    try:
        typer.run(deploy)
    except MarqueeError as error:
        errors.print(f"error: {error}", highlight=False, markup=False, style="red")
        sys.exit(2)


if __name__ == "__main__":
    main()

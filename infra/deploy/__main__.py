"""From image digests to a finished, watched rollout: the exit code is 0 only if users are on the new images."""

import getpass
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from infra.command import run
from infra.deploy.kubectl import Kubectl
from infra.deploy.manifests import Object, knative_services, read_images, setting, with_images
from infra.deploy.release import SCORES, Rollout
from infra.deploy.signatures import refuse_unsigned
from infra.local.machine import ROOT
from shared import bootstrap

OVERLAYS: Final = ROOT / "knative/overlays"
_SCORE: Final = "score"
_MORE_HOURS: Final = 1
"""What functions may need to be ready, and a canary to deploy, beside its trial."""

_TRIALS: Final = 2
"""Another's that is under way, and its own."""


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
            "--minutes", min=0, help="How long it may take in all: twice CANARY_MAX_HOURS and an hour if not given."
        ),
    ] = None,
) -> None:
    """Apply an overlay with these images, and watch until every function is ready and users decided about `score`.

    Functions that have no image here keep the one that they run. New code of the models' services is a canary like a
    new model: it is promoted or rolled back by what users do, or held if they do too little. While anything else is on
    trial in these services it is waited for, with nothing applied. Exit code 0: all is live. 1: something failed, was
    rolled back, or is held; what was live before still is, for most users if it is held. 2: it could not be done, or
    took too long, be it before its turn.

    Example: python -m infra.deploy build/images.json --overlay rancher --why "build 117"
    """
    deps = bootstrap.build("deploy", writes=False)
    cluster = Kubectl(namespace)
    wanted = read_images(_text(images))
    if cosign_key:
        refuse_unsigned(wanted.values(), cosign_key)
    rendered = cluster.render(OVERLAYS / overlay)

    def manifests() -> tuple[list[Object], list[str]]:
        live = {name: found for name in knative_services(rendered) if (found := cluster.service(name))}
        return with_images(rendered, wanted, live), [name for name in SCORES if name in live]

    hours = _TRIALS * setting(rendered, "CANARY_MAX_HOURS", deps.settings.canary_max_hours) + _MORE_HOURS
    seconds = 3600 * hours if minutes is None else 60 * minutes
    rollout = Rollout(cluster, deps.channels, deps.now_us, _say, seconds)
    if wrong := rollout.deliver(manifests, wanted.get(_SCORE), who or getpass.getuser(), why):
        _say("\n  ".join(["not all is live:", *wrong]))
        raise typer.Exit(1)
    _say("all is live")


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise typer.BadParameter(str(error)) from None


def _say(text: str) -> None:
    typer.echo(text, err=True)


def main() -> None:
    """Run the command; a failure is one clear message and status 2."""
    run(partial(typer.run, deploy))


if __name__ == "__main__":
    main()

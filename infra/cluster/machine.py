"""Where everything of the cluster is: its folders, its addresses, and the versions of its parts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.images.debian import SUITE

KUBERNETES: Final = "1.32.0"
SERVING: Final = "0.48.0"  # Knative 1.21
KOURIER: Final = "0.48.0"
COREDNS: Final = "1.11.3"
KUBE_ROUTER: Final = "2.1.0"

NODE: Final = "node1"
BRIDGE: Final = "marquee0"
ADDRESS: Final = "10.244.0.1"
"""The host as pods see it: the bridge's address, which the API server and the kubelet listen on, too."""
PODS: Final = "10.244.0.0/24"
SERVICES: Final = "10.96.0.0/16"
DNS: Final = "10.96.0.10"
API: Final = "10.96.0.1"

ETCD_PORT: Final = 23790  # Debian's own etcd, which its package may have started, keeps 2379
ETCD_PEER_PORT: Final = 23800
API_PORT: Final = 6443
ROUTER_PORT: Final = 20244
PORTS: Final[Mapping[int, str]] = {
    ETCD_PORT: "etcd",
    ETCD_PEER_PORT: "etcd",
    API_PORT: "kube-apiserver",
    10250: "kubelet",
    10248: "kubelet",
    10249: "kube-proxy",
    10256: "kube-proxy",
    10257: "kube-controller-manager",
    10259: "kube-scheduler",
    ROUTER_PORT: "kube-router",
}
"""Every port of the host that is listened on, on loopback or on the bridge; by kube-router on every address."""


@dataclass(frozen=True)
class Cluster:
    """One cluster: `home` holds what `down` removes, `cache` what is built once and may be deleted at any time."""

    home: Path
    cache: Path

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> "Cluster":
        """Return the cluster that MARQUEE_CLUSTER_HOME and XDG_CACHE_HOME name."""
        cache = Path(environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or "/root") / ".cache")
        home = Path(environment.get("MARQUEE_CLUSTER_HOME") or "/var/lib/marquee-cluster")
        return cls(home.absolute(), cache.absolute() / "marquee-cluster")

    @property
    def kubernetes(self) -> Path:
        """The folder of Kubernetes' programs, kubectl among them."""
        return self.cache / f"kubernetes-{KUBERNETES}"

    @property
    def kubectl(self) -> Path:
        """The kubectl of the same version."""
        return self.kubernetes / "kubectl"

    @property
    def serving(self) -> Path:
        """The folder of Knative Serving's programs."""
        return self.cache / f"serving-{SERVING}"

    @property
    def kourier(self) -> Path:
        """The folder of Kourier's program."""
        return self.cache / f"kourier-{KOURIER}"

    @property
    def coredns(self) -> Path:
        """The folder of CoreDNS."""
        return self.cache / f"coredns-{COREDNS}"

    @property
    def kube_router(self) -> Path:
        """The folder of kube-router, which enforces NetworkPolicies."""
        return self.cache / f"kube-router-{KUBE_ROUTER}"

    @property
    def pause(self) -> Path:
        """The folder of the program that holds a pod's namespaces."""
        return self.cache / f"pause-{KUBERNETES}"

    @property
    def root_file_system(self) -> Path:
        """The Debian base of images that need one: a minimal system with Python 3.11."""
        return self.cache / f"debian-{SUITE}"

    @property
    def images(self) -> Path:
        """The folder of the images that the cluster itself needs."""
        return self.cache / "images"

    @property
    def kubeconfig(self) -> Path:
        """How kubectl reaches the cluster as its administrator."""
        return self.home / "admin.conf"

    @property
    def pki(self) -> Path:
        """The folder of keys and certificates."""
        return self.home / "pki"

    @property
    def socket(self) -> Path:
        """Containerd's socket."""
        return self.home / "containerd.sock"

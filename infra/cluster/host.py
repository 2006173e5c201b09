"""What the node changes of its host, and how the host becomes again what it was."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import psutil

from infra.cluster.firewall import barrier, chains, removal
from infra.cluster.machine import ADDRESS, BRIDGE, PODS, PORTS, SERVICES, Cluster
from infra.cluster.shell import answers, run
from infra.local.ports import is_taken
from shared.errors import BadInput, NotReady

MARK: Final = "MARQUEE_CLUSTER_NODE"
"""The variable by whose value processes of the node, and the shims of its containers, are known."""

_SYSCTLS: Final = (
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "net/bridge/bridge-nf-call-iptables",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
"""What the kubelet, kube-proxy or we set."""

_FOLDERS: Final = (
    "/run/containerd",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
)
"""Where the kubelet, containerd and CNI leave things whatever they are told."""

_FAMILIES: Final = {"iptables": (PODS, SERVICES), "ip6tables": ()}
"""The firewalls, and the cluster's networks of each; it has none of IPv6."""


@dataclass(frozen=True)
class Host:
    """The machine that the node runs on."""

    cluster: Cluster

    def prepare(self) -> None:
        """Remember what is about to change, then make the bridge that pods are plugged into, and keep others from it.

        Raises: NotReady.
        """
        for module in ("br_netfilter", "overlay", "ip_set"):
            answers(partial(run, "modprobe", module))  # false where it is part of the kernel
        if not self._memory.exists():
            self.cluster.home.mkdir(parents=True, exist_ok=True)
            self._unfinished.write_text(json.dumps(_now()))
            self._unfinished.rename(self._memory)
        for family, networks in _FAMILIES.items():
            if rules := barrier(run(f"{family}-save"), networks):
                run(f"{family}-restore", "--noflush", given=rules)
        if not Path(f"/sys/class/net/{BRIDGE}").exists():
            run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "address", "replace", f"{ADDRESS}/{PODS.partition('/')[2]}", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")
        for name in ("net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables"):
            if (setting := Path("/proc/sys") / name).exists():
                setting.write_text("1")

    def refuse_others(self) -> None:
        """Raise BadInput if something listens where the node would, most likely another Kubernetes."""
        taken = [f"port {port}, for {name}" for port, name in PORTS.items() if is_taken(port)]
        if taken:
            raise BadInput(f"something else listens on {'; '.join(taken)}: one machine holds one Kubernetes node")

    def refuse_foreign(self) -> None:
        """Raise BadInput if files are in the cluster's home that no cluster put there: `down` would delete them."""
        home = self.cluster.home
        if self._memory.exists() or not home.exists():
            return
        if not home.is_dir() or any(each != self._unfinished and not _is_folder(each) for each in home.rglob("*")):
            raise BadInput(
                f"{home} is no cluster's folder (it has no {self._memory.name}) and is not empty: it is left as it is; "
                "MARQUEE_CLUSTER_HOME names the folder"
            )

    def restore(self) -> None:
        """Take away everything of the node, whose processes have ended, but the cache.

        Raises: NotReady if something below the node's home stays mounted; nothing there is deleted then.
        """
        for place in mounts_below(Path("/proc/mounts").read_text(), self.cluster.home):
            answers(partial(run, "umount", "--lazy", place))  # false where it went with another one
        if left := mounts_below(Path("/proc/mounts").read_text(), self.cluster.home):
            raise NotReady(f"still mounted, so {self.cluster.home} stays: {', '.join(left)}")
        if Path(f"/sys/class/net/{BRIDGE}").exists():
            run("ip", "link", "delete", BRIDGE)
        if self._memory.exists():
            self._restore(json.loads(self._memory.read_text()))
        _remove_cgroups()
        run("rm", "-rf", "--one-file-system", self.cluster.home)

    def processes(self) -> Iterator[psutil.Process]:
        """Yield the node's processes that run now: those that carry its mark, and all that descend from them."""
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == str(self.cluster.home):
                    yield process
                    yield from process.children(recursive=True)
            except psutil.Error:
                continue

    @property
    def _memory(self) -> Path:
        return self.cluster.home / "before.json"

    @property
    def _unfinished(self) -> Path:
        return self._memory.with_name("before.json.part")

    def _restore(self, before: dict[str, Any]) -> None:
        for family in _FAMILIES:
            script = removal(run(f"{family}-save"), before["chains"][family])
            if script:
                run(f"{family}-restore", "--noflush", given=script)
        for name in run("ipset", "list", "-name").split():
            if re.match("(inet6:)?KUBE-", name) and name not in before["sets"]:
                run("ipset", "destroy", name)
        for name, value in before["sysctls"].items():
            (Path("/proc/sys") / name).write_text(value)
        run("rm", "-rf", "--one-file-system", *(folder for folder in _FOLDERS if folder not in before["folders"]))


def mounts_below(mounts: str, home: Path) -> list[str]:
    """Return where something is mounted below a folder, the deepest first; `mounts` is what /proc/mounts says."""
    places = [
        re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), line.split()[1]) for line in mounts.splitlines()
    ]
    return sorted((place for place in places if Path(place).is_relative_to(home)), reverse=True)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _now() -> dict[str, Any]:
    """Return what `Host.restore` needs to know of how things are."""
    settings = {name: Path("/proc/sys") / name for name in _SYSCTLS}
    return {
        "sysctls": {name: path.read_text().strip() for name, path in settings.items() if path.exists()},
        "chains": {family: sorted(chains(run(f"{family}-save"))) for family in _FAMILIES},
        "sets": run("ipset", "list", "-name").split(),
        "folders": [folder for folder in _FOLDERS if Path(folder).exists()],
    }


def _remove_cgroups() -> None:
    """Remove the cgroups of pods, which are empty once their processes have ended."""
    root = Path("/sys/fs/cgroup")
    for top in (*root.glob("kubepods"), *root.glob("*/kubepods")):
        for folder in sorted((*top.rglob("*/"), top), reverse=True):
            try:
                folder.rmdir()
            except OSError:
                continue

"""Start and stop the node: supervisor (supervisord.org) runs its processes, as it does on one machine without one."""

import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from xmlrpc.client import Fault

import psutil

from infra.cluster import certificates, config
from infra.cluster.components import POLICIES, components
from infra.cluster.host import MARK, Host
from infra.cluster.images import images
from infra.cluster.machine import ETCD_PORT, NODE, ROUTER_PORT, Cluster
from infra.cluster.shell import OnStep, ask, ctr, kubectl, wait
from infra.local.machine import Machine
from infra.local.supervisord import Supervisord
from shared.errors import NotReady

_SECONDS: Final = 90
_LOG_TAIL: Final = 8
_END_SECONDS: Final = 10
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Node:
    """The one node of a cluster, with the API server and all that belongs to it."""

    cluster: Cluster

    @property
    def host(self) -> Host:
        """The machine that it runs on."""
        return Host(self.cluster)

    @property
    def is_up(self) -> bool:
        """Whether the supervisor runs."""
        return self._supervisord.is_up

    def start(self, policies: bool, on_step: OnStep) -> None:
        """Start what does not run yet, and return when the node takes pods.

        Raises: BadInput if something else is in the way, in the folder or on a port; NotReady naming the log of what
        does not come up.
        """
        self.host.refuse_foreign()
        parts = components(self.cluster)
        if not self.is_up:
            self._end(self.host.processes())
            self.host.refuse_others()
            self.host.prepare()
            self._write()
            self._supervisord.start(parts, {"PATH": _PATH, MARK: str(self.cluster.home)})
        ready = self._ready()
        wanted = [part for part in parts if policies or part.name != POLICIES]
        for stage in sorted({part.stage for part in wanted}):
            now = [part for part in wanted if part.stage == stage]
            for part in now:
                on_step(f"starting {part.name}")
                with suppress(Fault):  # it runs already
                    self._supervisord.ask("startProcess", part.name, False)
            for part in now:
                wait(ready[part.name], _SECONDS, partial(self._explain, part.name))
            if stage == 0:
                self.load_own_images(on_step)
        on_step("waiting for the node")
        condition = ("wait", f"node/{NODE}", "--for=condition=Ready", "--timeout=1s")
        wait(partial(kubectl, self.cluster, *condition), _SECONDS, partial(self._explain, "kubelet"))

    def stop(self, on_step: OnStep) -> None:
        """End every process of the node, and make the host what it was before.

        Raises: BadInput if the folder is not a cluster's; NotReady.
        """
        self.host.refuse_foreign()
        on_step("stopping the pods")
        if self.is_up:
            with suppress(Fault):  # it does not run
                self._supervisord.ask("stopProcess", "kubelet", True)
        shims = [process for process in self.host.processes() if _is_shim(process)]
        self._end(child for shim in shims for child in _children(shim))
        _wait_ended(shims)  # containerd ends a shim whose container has ended
        on_step("stopping the node")
        if self.is_up:
            supervisor = psutil.Process(self._supervisord.ask("getPID"))
            self._supervisord.ask("stopAllProcesses", False)
            self._supervisord.ask("shutdown")
            supervisor.wait(60)
        self._end(self.host.processes())
        on_step("restoring the host")
        self.host.restore()

    def load(self, archives: Iterable[Path]) -> list[str]:
        """Give images to the node, from docker-archives; return what containerd says. Raises: NotReady."""
        return [ctr(self.cluster, "images", "import", str(archive)) for archive in archives]

    def load_own_images(self, on_step: OnStep) -> None:
        """Give the node those images of the cluster itself that it does not have."""
        there = ctr(self.cluster, "images", "list", "--quiet").split()
        missing = [image for image in images(self.cluster) if image.name not in there]
        for image in missing:
            on_step(f"loading {image.name}")
            self.load([image.archive(self.cluster)])

    def states(self) -> dict[str, str]:
        """Return the state of each process, in supervisor's words; none if the node is down."""
        return self._supervisord.states() if self.is_up else {}

    @property
    def _machine(self) -> Machine:
        return Machine(self.cluster.home)

    @property
    def _supervisord(self) -> Supervisord:
        return Supervisord(self._machine)

    def _write(self) -> None:
        """Write every file that the processes read."""
        for folder in (self._machine.logs, self._machine.config, self.cluster.home / "cni"):
            folder.mkdir(parents=True, exist_ok=True)
        self.cluster.home.chmod(0o700)
        certificates.issue(self.cluster)
        for name, text in config.files(self.cluster).items():
            (self.cluster.home / name).write_text(text)

    def _ready(self) -> dict[str, Callable[[], object]]:
        """Return for each process what succeeds once it is ready."""
        return {
            "etcd": partial(ask, f"http://127.0.0.1:{ETCD_PORT}/health"),
            "containerd": partial(ctr, self.cluster, "version"),
            "apiserver": partial(kubectl, self.cluster, "get", "--raw", "/readyz"),
            "controller-manager": partial(ask, "https://127.0.0.1:10257/healthz"),
            "scheduler": partial(ask, "https://127.0.0.1:10259/healthz"),
            "kubelet": partial(ask, "http://127.0.0.1:10248/healthz"),
            "proxy": partial(ask, "http://127.0.0.1:10256/healthz"),
            POLICIES: partial(ask, f"http://127.0.0.1:{ROUTER_PORT}/healthz"),
        }

    def _explain(self, awaited: str) -> str:
        """Return where to look: the log of what is awaited, and of whatever does not run."""
        failed = [name for name, state in self.states().items() if state in {"BACKOFF", "FATAL", "EXITED"}]
        return "\n".join(self._tail(name) for name in dict.fromkeys([awaited, *failed]))

    def _tail(self, name: str) -> str:
        log = self._machine.log(name)
        lines = log.read_text(errors="replace").splitlines()[-_LOG_TAIL:] if log.exists() else []
        return "\n".join([f"{log} ends with", *(f"    {line}" for line in lines)])

    @staticmethod
    def _end(processes: Iterable[psutil.Process]) -> None:
        ended = list(processes)
        for process in ended:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if alive := _wait_ended(ended):
            raise NotReady(f"processes {', '.join(str(process.pid) for process in alive)} do not end")


def _wait_ended(processes: Collection[psutil.Process]) -> list[psutil.Process]:
    """Wait a while until processes have ended, and return those that have not.

    `psutil.wait_procs` fails for one whose parent reaps it that very moment.
    """
    deadline = time.monotonic() + _END_SECONDS
    while alive := [each for each in processes if each.is_running() and not _is_zombie(each)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return alive


def _is_shim(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.name().startswith("containerd-shim")
    return False


def _is_zombie(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    return True


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return process.children(recursive=True)
    return []

"""Start, watch and stop one machine's processes, by supervisor (supervisord.org)."""

import hashlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterator, Mapping
from configparser import RawConfigParser
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from infra.local import provision
from infra.local.machine import ROOT, Machine
from infra.local.parts import Part, parts
from infra.local.router import Router, first_traffic
from shared.errors import BadInput, NotReady
from shared.settings import Settings

_HEALTHY_SECONDS: Final = 90
_LOG_TAIL: Final = 15
_UNREACHABLE: Final = (OSError, urllib.error.URLError)


class Status(NamedTuple):
    """How a process does: supervisor's word, its pid (0: none), its ports, and whether it answers."""

    name: str
    state: str
    pid: int
    ports: list[int]
    healthy: bool


@dataclass
class Stack:
    """All processes of one machine, or some of them."""

    machine: Machine
    extra_environment: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def parts(self) -> dict[str, Part]:
        """Every process by name."""
        return {part.name: part for part in parts(self.machine)}

    @property
    def environment(self) -> dict[str, str]:
        """What the functions are told."""
        return self.machine.environment | dict(self.extra_environment)

    @property
    def is_up(self) -> bool:
        """Whether the supervisor runs."""
        with suppress(*_UNREACHABLE, Fault):
            return bool(self._ask("getState")["statecode"] == 1)
        return False

    def start(self, only: Collection[str] = (), on_step: Callable[[str], None] = lambda _: None) -> None:
        """Start every process, or those named, stage by stage, each stage once the one before is healthy.

        Raises: BadSettings; BadInput if a port is taken or a tool is missing, saying by what; NotReady naming the
        process that does not become healthy, with the end of its log.
        """
        Settings.from_env(self.environment)
        wanted = [part for part in self.parts.values() if not only or part.name in only]
        if not self.is_up:
            self.sweep()
            self._refuse_taken_ports(wanted)
            provision.write_config(self.machine)
            Router(self.machine).write(first_traffic(self.machine))
            self._start_supervisor()
        for stage in sorted({part.stage for part in wanted}):
            now = [part for part in wanted if part.stage == stage]
            for part in now:
                on_step(f"starting {part.name}")
                self.start_part(part.name)
            for part in now:
                on_step(f"waiting for {part.name}")
                self.wait_healthy(part.name)
            if stage == 0:
                on_step("creating topics and the bucket")
                provision.create(self.machine, {part.name for part in now})

    def stop(self) -> None:
        """Stop everything that was started, last started first, and whatever of it a crash left behind."""
        if self.is_up:
            supervisor = psutil.Process(self._ask("getPID"))
            for stage in (2, 1, 0):
                for part in self.parts.values():
                    if part.stage == stage:
                        with suppress(Fault):
                            self._ask("stopProcess", part.name, False)
                for part in self.parts.values():
                    if part.stage == stage:
                        self._wait_stopped(part)
            self._ask("shutdown")
            supervisor.wait(30)
        self.sweep()

    def start_part(self, name: str) -> None:
        """Start one process, if it does not run."""
        with suppress(Fault):
            self._ask("startProcess", name, False)

    def stop_part(self, name: str) -> None:
        """Stop one process in its own way, and do not restart it."""
        with suppress(Fault):
            self._ask("stopProcess", name, True)

    def kill(self, name: str) -> None:
        """Kill one process and its children as `kill -9` does; the supervisor starts it again."""
        pid = self._info(name)["pid"]
        if pid:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def status(self) -> list[Status]:
        """Return how every process does."""
        infos = {info["name"]: info for info in self._ask("getAllProcessInfo")} if self.is_up else {}
        return [
            Status(
                part.name,
                infos[part.name]["statename"].lower() if part.name in infos else "stopped",
                infos[part.name]["pid"] if part.name in infos else 0,
                [self.machine.port(name) for name in part.ports],
                part.name in infos and self._is_healthy(part),
            )
            for part in self.parts.values()
        ]

    def wait_healthy(self, name: str, seconds: float = _HEALTHY_SECONDS) -> None:
        """Return when a process answers. Raises: NotReady with the end of its log."""
        part = self.parts[name]
        deadline = time.monotonic() + seconds
        while not self._is_healthy(part):
            gone = self._info(name)["statename"] == "FATAL"
            if gone or time.monotonic() > deadline:
                tail = "\n".join(f"    {line}" for line in self.log_tail(name))
                raise NotReady(f"{name} did not become healthy; {self.log(name)} ends with\n{tail}")
            time.sleep(0.1)

    def log(self, name: str) -> Path:
        """Return the log file of a process."""
        return self.machine.logs / f"{name}.log"

    def log_tail(self, name: str) -> list[str]:
        """Return the last lines of a process's log."""
        with suppress(FileNotFoundError):
            return self.log(name).read_text(errors="replace").splitlines()[-_LOG_TAIL:]
        return []

    def sweep(self) -> None:
        """Kill processes of this machine that no supervisor watches any more, as after its own death."""
        left = list(self.processes())
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=10)
        self._socket.unlink(missing_ok=True)

    def processes(self) -> Iterator[psutil.Process]:
        """Yield the processes that carry this machine's mark in their environment."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.pid != os.getpid() and process.environ().get("MARQUEE_STACK") == str(self.machine.home):
                    yield process

    @property
    def _socket(self) -> Path:
        """The supervisor's socket, under a short name: a socket's path has room for 107 bytes only."""
        name = hashlib.sha256(str(self.machine.home).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"marquee-{os.getuid()}-{name}.sock"

    def _ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of the supervisor."""
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        with ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    def _info(self, name: str) -> dict[str, Any]:
        info: dict[str, Any] = self._ask("getProcessInfo", name)
        return info

    def _start_supervisor(self) -> None:
        path = self.machine.config / "supervisord.conf"
        with path.open("w") as file:
            self._supervisord_conf().write(file)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(path)]
        done = subprocess.run(command, cwd=ROOT, env=self._base_environment(), capture_output=True, text=True)
        if done.returncode:
            raise BadInput(f"the supervisor does not start: {done.stdout}{done.stderr}")
        answers = retry_if_result(lambda is_up: not is_up)
        Retrying(retry=answers, stop=stop_after_delay(20), wait=wait_fixed(0.1))(lambda: self.is_up)

    def _base_environment(self) -> dict[str, str]:
        kept = ("HOME", "LANG", "LC_ALL", "TMPDIR", "JAVA_HOME", "SSL_CERT_FILE")
        return {name: os.environ[name] for name in kept if name in os.environ} | self.environment

    def _supervisord_conf(self) -> RawConfigParser:
        conf = RawConfigParser()
        conf.optionxform = str  # type: ignore[assignment,method-assign]
        conf["supervisord"] = {
            "logfile": str(self.machine.logs / "supervisord.log"),
            "pidfile": str(self.machine.config / "supervisord.pid"),
            "childlogdir": str(self.machine.logs),
            "silent": "true",
        }
        conf["unix_http_server"] = {"file": str(self._socket), "chmod": "0700"}
        conf["rpcinterface:supervisor"] = {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        }
        for part in self.parts.values():
            conf[f"program:{part.name}"] = {
                "command": _escape(shlex.join(part.command)),
                "directory": str(ROOT),
                "environment": ",".join(f'{k}="{_escape(v)}"' for k, v in part.environment.items()),
                "autostart": "false",
                "autorestart": "true",
                "startsecs": "2",
                "startretries": "100",  # with supervisor's back-off: a second more after each failure
                "stopwaitsecs": str(part.seconds_to_stop),
                "stopasgroup": "true",
                "killasgroup": "true",
                "redirect_stderr": "true",
                "stdout_logfile": str(self.log(part.name)),
                "stdout_logfile_maxbytes": "20MB",
                "stdout_logfile_backups": "2",
            }
        return conf

    def _refuse_taken_ports(self, wanted: Collection[Part]) -> None:
        ports = {self.machine.port(name): part.name for part in wanted for name in part.ports}
        taken = [port for port in ports if _is_taken(port)]
        if taken:
            lines = [f"port {port}, for {ports[port]}, is taken by {_holder(port)}" for port in taken]
            raise BadInput("\n".join([*lines, "stop it, or move Marquee: MARQUEE_PORT_OFFSET=1000 make up"]))

    def _is_healthy(self, part: Part) -> bool:
        port = self.machine.port(part.ports[0])
        if part.health is None:
            return all(_is_taken(self.machine.port(name)) for name in part.ports)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{part.health}", timeout=2) as answer:
                return bool(answer.status == 200)
        except _UNREACHABLE:
            return False

    def _wait_stopped(self, part: Part) -> None:
        deadline = time.monotonic() + part.seconds_to_stop + 5
        while self._info(part.name)["statename"] in {"RUNNING", "STARTING", "STOPPING"}:
            if time.monotonic() > deadline:
                return
            time.sleep(0.05)


@contextmanager
def running(stack: Stack, only: Collection[str] = (), on_step: Callable[[str], None] = print) -> Iterator[Stack]:
    """Run a stack for the length of a block, and stop it however the block ends."""
    try:
        stack.start(only, on_step)
        yield stack
    finally:
        stack.stop()


def _escape(text: str) -> str:
    return text.replace("%", "%%")


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _holder(port: int) -> str:
    """Say which process listens on a port."""
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,) and connection.pid:
                process = psutil.Process(connection.pid)
                return f"process {process.pid}: {' '.join(process.cmdline())[:120]}"
    return "a process of another user"


def dump_status(statuses: Collection[Status]) -> str:
    """Return statuses as JSON."""
    return json.dumps([status._asdict() for status in statuses])

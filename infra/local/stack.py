"""Start, watch and stop one machine's processes, by supervisor (supervisord.org)."""

import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple
from xmlrpc.client import Fault

import psutil
from pydantic import TypeAdapter, ValidationError

from infra.images import facts
from infra.local import provision
from infra.local.machine import ROOT, Machine
from infra.local.parts import Part, parts
from infra.local.ports import is_taken, refuse_taken
from infra.local.router import Router
from infra.local.serving import state
from infra.local.supervisord import Supervisord
from shared.errors import BadInput, NotReady
from shared.settings import Settings

_HEALTHY_SECONDS: Final = 90
_LOG_TAIL: Final = 15
_TEXTS: Final = TypeAdapter(dict[str, str])
_OWN: Final = {"KAFKA_PASSWORD", "KAFKA_USERNAME", "KAFKA_CA_FILE", "VERIFY_KEY_FILE", "SIGNING_KEY_FILE"}
"""What a shell may be given for another Marquee, secrets among it: never kept."""


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

    @property
    def parts(self) -> dict[str, Part]:
        """Every process by name, those of the revisions that there are now included. Raises: BadInput."""
        return {part.name: part for part in parts(self.machine)}

    @property
    def _supervisord(self) -> Supervisord:
        return Supervisord(self.machine)

    @property
    def is_up(self) -> bool:
        """Whether the supervisor runs."""
        return self._supervisord.is_up

    @cached_property
    def commit(self) -> str:
        """The commit of this code, as images say it."""
        try:
            return facts.read(ROOT).commit
        except BadInput:
            return facts.UNKNOWN

    @property
    def environment(self) -> dict[str, str]:
        """What the functions are told."""
        return self.machine.environment | {"GIT_COMMIT": self.commit} | dict(self.extra_environment)

    @property
    def settings(self) -> Settings:
        """What the functions make of it. Raises: BadSettings."""
        return Settings.from_env(self.environment)

    @property
    def started_with(self) -> dict[str, str]:
        """The settings that this machine was last started with; empty if nobody noted any. Raises: BadInput."""
        try:
            return _TEXTS.validate_json(self._settings_file.read_bytes())
        except FileNotFoundError:
            return {}
        except ValidationError:
            raise BadInput(f"{self._settings_file} is damaged; `marquee down` and `marquee up` make it anew") from None

    def note_settings(self) -> None:
        """Keep the settings of this start for the commands, whichever shell they are given in."""
        known = {name.upper() for name in Settings.model_fields} - _OWN
        given = {name: value for name, value in self.environment.items() if name in known}
        self._settings_file.write_text(json.dumps(given, indent=1, sort_keys=True))

    @property
    def _settings_file(self) -> Path:
        return self.machine.config / "settings.json"

    def start(self, only: Collection[str] = (), on_step: Callable[[str], None] = lambda _: None) -> None:
        """Start every process, or those named, stage by stage, each stage once the one before is healthy.

        Raises: BadSettings; BadInput if a port is taken or a tool is missing, saying by what; NotReady naming the
        process that does not become healthy, with the end of its log.
        """
        _ = self.settings
        wanted = [part for part in self.parts.values() if not only or part.name in only]
        if not self.is_up:
            self.sweep()
            refuse_taken({self.machine.port(name): part.name for part in wanted for name in part.ports})
            provision.write_config(self.machine)
            self.note_settings()
            Router(self.machine).write(state.traffic(self.machine, state.load(self.machine)))
            self._supervisord.start(self.parts.values(), self.environment)
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
            supervisor = psutil.Process(self._supervisord.ask("getPID"))
            for stage in (2, 1, 0):
                now = [part for part in self.parts.values() if part.stage == stage]
                for part in now:
                    with suppress(Fault):
                        self._supervisord.ask("stopProcess", part.name, False)
                for part in now:
                    self._wait_stopped(part)
            self._supervisord.ask("shutdown")
            supervisor.wait(30)
        self.sweep()

    def start_part(self, name: str) -> None:
        """Start one process, if it does not run."""
        with suppress(Fault):
            self._supervisord.ask("startProcess", name, False)

    def stop_part(self, name: str) -> None:
        """Stop one process in its own way, and do not restart it."""
        with suppress(Fault):
            self._supervisord.ask("stopProcess", name, True)

    def kill(self, name: str) -> None:
        """Kill one process as `kill -9` does, not its children; the supervisor starts it again."""
        pid = self._info(name)["pid"]
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def status(self) -> list[Status]:
        """Return how every process does."""
        infos = {info["name"]: info for info in self._supervisord.ask("getAllProcessInfo")} if self.is_up else {}
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
                raise NotReady(f"{name} did not become healthy; {self.machine.log(name)} ends with\n{tail}")
            time.sleep(0.1)

    def log_tail(self, name: str) -> list[str]:
        """Return the last lines of a process's log."""
        with suppress(FileNotFoundError):
            return self.machine.log(name).read_text(errors="replace").splitlines()[-_LOG_TAIL:]
        return []

    def sweep(self) -> None:
        """Kill processes of this machine that no supervisor watches any more, as after its own death."""
        left = list(self.processes())
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=10)
        self._supervisord.socket.unlink(missing_ok=True)

    def processes(self) -> Iterator[psutil.Process]:
        """Yield the processes that carry this machine's mark in their environment."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.pid != os.getpid() and process.environ().get("MARQUEE_STACK") == str(self.machine.home):
                    yield process

    def _info(self, name: str) -> dict[str, Any]:
        info: dict[str, Any] = self._supervisord.ask("getProcessInfo", name)
        return info

    def _is_healthy(self, part: Part) -> bool:
        port = self.machine.port(part.ports[0])
        if part.health is None:
            return all(is_taken(self.machine.port(name)) for name in part.ports)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{part.health}", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _wait_stopped(self, part: Part) -> None:
        deadline = time.monotonic() + part.seconds_to_stop + 5
        while self._supervisord.states().get(part.name) in {"RUNNING", "STARTING", "STOPPING"}:
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


def dump_status(statuses: Collection[Status]) -> str:
    """Return statuses as JSON."""
    return json.dumps([status._asdict() for status in statuses])

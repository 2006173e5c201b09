"""Processes beside the stack's own: functions and other model servers, each for the length of a block."""

import http.client
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit

from infra.local.machine import ROOT
from infra.local.stack import Stack
from shared.errors import NotReady

PEERS: Final = ROOT / "benchmarks/peers"
_FRAMEWORK: Final = str(Path(sys.executable).with_name("functions-framework"))
_PATIENCE_SECONDS: Final = 60
_PAUSE_SECONDS: Final = 0.002


@dataclass(frozen=True)
class Process:
    """A command, all that it is told by its environment, and an address that it answers once it is up."""

    command: Sequence[str]
    environment: Mapping[str, str]
    url: str
    statuses: range = range(200, 300)

    @contextmanager
    def running(self) -> Iterator[float]:
        """Run it for the length of a block; yield the seconds from its start to its first answer. Raises: NotReady."""
        with tempfile.TemporaryFile() as log:
            started = time.perf_counter()
            process = subprocess.Popen(self.command, env=dict(self.environment), cwd=PEERS, stdout=log, stderr=log)
            try:
                self._wait(process, log)
                yield time.perf_counter() - started
            finally:
                process.terminate()
                try:
                    process.wait(20)
                finally:
                    process.kill()

    def _wait(self, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                raise NotReady(f"{self.url} does not answer; {self.command[0]} said {log.read()[-2000:].decode()}")
            time.sleep(_PAUSE_SECONDS)

    def _answers(self) -> bool:
        where = urlsplit(self.url)
        with closing(http.client.HTTPConnection(where.netloc, timeout=_PATIENCE_SECONDS)) as connection:
            try:
                connection.request("GET", where.path)
                return connection.getresponse().status in self.statuses
            except (OSError, http.client.HTTPException):
                return False


def empty(name: str, threads: int = 1, **environment: str) -> Process:
    """Return a peer function of this folder, run by functions-framework."""
    port = free_port()
    kind = "cloudevent" if name.startswith("cloud_event") else "http"
    command = [_FRAMEWORK, "--source", str(PEERS / f"{name}.py"), "--target", "main", "--signature-type", kind]
    told = {"PYTHONPATH": str(ROOT), "WORKERS": "1", "THREADS": str(threads), **environment}
    statuses = range(200, 500) if kind == "cloudevent" else range(200, 300)  # a GET is no event, and is refused
    address = ["--host", "127.0.0.1", "--port", str(port)]
    return Process([*command, *address], told, f"http://127.0.0.1:{port}/", statuses)


def part(stack: Stack, name: str, path: str, **environment: str) -> Process:
    """Return a function of a stack, as the stack would run it, told some things otherwise."""
    found = stack.parts[name]
    told = stack.environment | dict(found.environment) | environment
    return Process(found.command, told, stack.machine.url(name) + path)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])

"""Processes that go on when the command that started them is over."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

_STOP_SECONDS: Final = 30
_LOG_TAIL: Final = 2000


@dataclass(frozen=True)
class Background:
    """One process, known by a name in a folder, where its log is too."""

    folder: Path
    name: str

    @property
    def process(self) -> psutil.Process | None:
        """The process, if it runs; ids come again, so the moment of its start counts too."""
        with suppress(FileNotFoundError, psutil.NoSuchProcess):
            pid, started = self._pid_file.read_text().split()
            process = psutil.Process(int(pid))
            if process.create_time() == float(started) and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.folder / f"{self.name}.log"

    @property
    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-_LOG_TAIL:] if self.log.exists() else ""

    def start(self, command: Sequence[str], environment: Mapping[str, str] = os.environ) -> None:
        """Start it, in a session of its own."""
        written = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(self.log), written, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        pid = os.posix_spawnp(command[0], list(command), environment, file_actions=files, setsid=True)
        self._pid_file.write_text(f"{pid} {psutil.Process(pid).create_time()}")

    def stop(self) -> None:
        """Ask it to stop, and return once it has; kill it if it takes too long."""
        process = self.process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(_STOP_SECONDS)

    @property
    def _pid_file(self) -> Path:
        return self.folder / f"{self.name}.pid"

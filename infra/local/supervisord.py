"""Drive supervisor (supervisord.org) over its own socket."""

import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from configparser import RawConfigParser
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Final
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from infra.local.machine import ROOT, Machine
from infra.local.parts import Part
from shared.adapters import files
from shared.errors import BadInput, NotReady

_OVER: Final = {"STOPPED", "EXITED", "FATAL"}


@dataclass(frozen=True)
class Supervisord:
    """The supervisor of one machine."""

    machine: Machine

    @property
    def is_up(self) -> bool:
        """Whether the supervisor runs."""
        with suppress(OSError, Fault):
            return bool(self.ask("getState")["statecode"] == 1)
        return False

    def start(self, parts: Collection[Part], environment: Mapping[str, str]) -> None:
        """Start the supervisor, which starts no part by itself. Raises: BadInput with its own words."""
        self._write(parts)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._path)]
        kept = ("HOME", "LANG", "LC_ALL", "TMPDIR", "JAVA_HOME", "SSL_CERT_FILE")
        whole = {name: os.environ[name] for name in kept if name in os.environ} | dict(environment)
        done = subprocess.run(command, cwd=ROOT, env=whole, capture_output=True, text=True)
        if done.returncode:
            raise BadInput(f"the supervisor does not start: {done.stdout}{done.stderr}")
        answers = retry_if_result(lambda is_up: not is_up)
        Retrying(retry=answers, stop=stop_after_delay(20), wait=wait_fixed(0.1))(lambda: self.is_up)

    def states(self) -> dict[str, str]:
        """Return the state of each process, in supervisor's words. Raises: NotReady."""
        return {name: info["statename"] for name, info in self._infos().items()}

    def adjust(self, parts: Collection[Part], owned: Collection[str]) -> None:
        """See to it that of the processes `owned` those of parts are there and no others, and wait for none of them.

        A process that was stopped by hand stays stopped. Raises: NotReady.
        """
        there = {name: info for name, info in self._infos().items() if name in owned}
        wanted = {part.name for part in parts} & set(owned)
        try:
            if wanted - there.keys():
                self._write(parts)
                self.ask("reloadConfig")
            for name in wanted - there.keys():
                self.ask("addProcessGroup", name)
            for name in wanted:
                if name not in there or there[name]["start"] == 0:
                    self.ask("startProcess", name, False)
            for name in there.keys() - wanted:
                state = there[name]["statename"]
                if state in _OVER:
                    self.ask("removeProcessGroup", name)
                elif state != "STOPPING":
                    self.ask("stopProcess", name, False)
        except (OSError, Fault) as error:
            raise NotReady(f"the supervisor does not do it: {error}") from error

    def _infos(self) -> dict[str, dict[str, Any]]:
        try:
            return {info["name"]: info for info in self.ask("getAllProcessInfo")}
        except (OSError, Fault) as error:
            raise NotReady(f"the supervisor does not answer: {error}") from error

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of the supervisor."""
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        with ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    @property
    def socket(self) -> Path:
        """The supervisor's socket, under a short name: a socket's path has room for 107 bytes only."""
        name = hashlib.sha256(str(self.machine.home).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"marquee-{os.getuid()}-{name}.sock"

    @property
    def _path(self) -> Path:
        return self.machine.config / "supervisord.conf"

    def _write(self, parts: Collection[Part]) -> None:
        text = StringIO()
        self._conf(parts).write(text)
        files.replace(self._path, text.getvalue().encode())

    def _conf(self, parts: Collection[Part]) -> RawConfigParser:
        conf = RawConfigParser()
        conf.optionxform = str  # type: ignore[assignment,method-assign]
        conf["supervisord"] = {
            "logfile": str(self.machine.logs / "supervisord.log"),
            "pidfile": str(self.machine.config / "supervisord.pid"),
            "childlogdir": str(self.machine.logs),
            "silent": "true",
        }
        conf["unix_http_server"] = {"file": str(self.socket), "chmod": "0700"}
        conf["rpcinterface:supervisor"] = {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        }
        for part in parts:
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
                "stdout_logfile": str(self.machine.log(part.name)),
                "stdout_logfile_maxbytes": "20MB",
                "stdout_logfile_backups": "2",
            }
        return conf


def _escape(text: str) -> str:
    return text.replace("%", "%%")

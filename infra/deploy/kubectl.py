"""The cluster, by the tool that every operator has: kubectl, with the credentials that it finds."""

import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from shared.errors import BadInput, NotReady

_UNREACHED: Final = re.compile(
    r"(unable to connect|the connection) to (the )?server|connection (refused|reset)|no such host|no route to host|"
    r"network is unreachable|i/o timeout|handshake timeout|timed out|deadline exceeded|request canceled|\bEOF\b|"
    r"etcdserver: |\((ServiceUnavailable|Timeout|ServerTimeout|TooManyRequests|InternalError)\)",
    re.IGNORECASE,
)
"""What kubectl says if the API server did not answer, or could not: the same may succeed a moment later."""


@dataclass(frozen=True)
class Kubectl:
    """One namespace of the cluster that kubectl's context names."""

    namespace: str
    manager: str = "marquee-deploy"

    def render(self, folder: Path) -> list[dict[str, Any]]:
        """Return the manifests of a kustomize overlay, by kubectl's own: who deploys needs no Go to compile another.

        Raises: BadInput with kustomize's own words.
        """
        return [each for each in yaml.safe_load_all(self._run(["kustomize", str(folder)])) if each]

    def apply(self, documents: Iterable[Mapping[str, Any]]) -> None:
        """Apply manifests, whoever owned the fields in them; others are left alone. Raises: BadInput, NotReady."""
        text = yaml.safe_dump_all(documents)
        how = ["--server-side", "--force-conflicts", f"--field-manager={self.manager}"]
        self._run(["apply", *how, "--filename=-"], text)

    def service(self, name: str) -> dict[str, Any] | None:
        """Return a Knative Service, None if there is none. Raises: BadInput, NotReady."""
        text = self._run(["get", "services.serving.knative.dev", name, "--ignore-not-found", "--output=json"])
        found: dict[str, Any] | None = json.loads(text) if text.strip() else None
        return found

    def _run(self, arguments: list[str], text: str | None = None) -> str:
        """Return what it prints. Raises: BadInput if it, or the server, refuses; NotReady if that is not reached."""
        command = ["kubectl", f"--namespace={self.namespace}", *arguments]
        try:
            done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)
        except FileNotFoundError:
            raise BadInput("kubectl is not installed; it is what talks to the cluster") from None
        except subprocess.TimeoutExpired:
            raise NotReady(f"`{' '.join(command)}` took more than two minutes: does the cluster answer?") from None
        if done.returncode:
            failed = NotReady if _UNREACHED.search(done.stderr) and arguments[0] != "kustomize" else BadInput
            raise failed(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
        return done.stdout

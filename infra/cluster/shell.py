"""Run commands, and wait; a failure tells what was run and what it said."""

import fcntl
import json
import os
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.cluster.machine import Cluster
from shared.errors import BadInput, NotReady

OnStep = Callable[[str], None]
"""Told what is done next."""


def run(*command: str | Path, given: str = "", folder: Path | None = None, environment: Mapping[str, str] = {}) -> str:
    """Return what a command prints.

    Raises: BadInput if there is no such program or folder; NotReady with the command and the end of what it said.
    """
    words = [str(word) for word in command]
    if folder and not folder.is_dir():
        raise BadInput(f"{folder}, where {words[0]} should run, is no folder")
    try:
        done = subprocess.run(
            words, input=given, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True
        )
    except FileNotFoundError as error:
        raise BadInput(f"{words[0]} is not here: python -m infra.cluster build") from error
    if done.returncode:
        said = "\n".join(f"    {line}" for line in (done.stdout + done.stderr).splitlines()[-20:])
        raise NotReady(f"`{' '.join(words)}` ended with {done.returncode}:\n{said}")
    return done.stdout


def ask(url: str) -> None:
    """Return if a URL of this machine answers 200. Raises: NotReady."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE  # it is asked for its health, and told nothing
    try:
        urllib.request.urlopen(url, timeout=2, context=trusting).close()
    except OSError as error:
        raise NotReady(f"{url}: {error}") from error


def kubectl(cluster: Cluster, *arguments: str, given: str = "") -> str:
    """Return what kubectl prints, as the cluster's administrator. Raises: NotReady."""
    return run(cluster.kubectl, "--kubeconfig", cluster.kubeconfig, *arguments, given=given)


def apply(cluster: Cluster, documents: Sequence[Mapping[str, Any]], manager: str, *options: str) -> str:
    """Apply documents as a field manager, whoever owned their fields. Raises: NotReady with the server's words."""
    how = ("apply", "--server-side", "--force-conflicts", f"--field-manager={manager}", "-f", "-")
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(documents)})
    return kubectl(cluster, *how, *options, given=given)


def ctr(cluster: Cluster, *arguments: str) -> str:
    """Return what containerd's own client prints, for the images and containers of pods. Raises: NotReady."""
    return run("ctr", "--address", cluster.socket, "--namespace", "k8s.io", *arguments)


def answers(attempt: Callable[[], object]) -> bool:
    """Say whether something that raises NotReady while it is not ready succeeds now."""
    try:
        attempt()
    except NotReady:
        return False
    return True


def wait(attempt: Callable[[], object], seconds: float, explain: Callable[[], str]) -> None:
    """Return once an attempt succeeds. Raises: NotReady with its last error, and an explanation."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            attempt()
            return
        except NotReady as error:
            if time.monotonic() > deadline:
                raise NotReady(f"{error}\n{explain()}") from error
        time.sleep(0.5)


@contextmanager
def alone(cluster: Cluster) -> Iterator[None]:
    """Hold the cluster for the length of a block: whoever builds, starts or stops it meanwhile waits."""
    cluster.cache.mkdir(parents=True, exist_ok=True)
    with (cluster.cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

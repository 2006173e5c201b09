"""Go, from whose modules come schemas, kustomize, MinIO, a registry of images and the cluster."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from shared.errors import BadInput, NotReady


def go() -> str:
    """Return the path of the go command. Raises: BadInput if there is none."""
    found = shutil.which("go")
    if found is None:
        raise BadInput("go is not installed, 1.21 or later: https://go.dev/doc/install says how to get it")
    return found


def module(path: str, version: str) -> Path:
    """Return the folder of a Go module, downloaded into Go's own cache, which checks it against the public sums.

    Raises: BadInput if there is no Go; NotReady if the module cannot be had.
    """
    done = subprocess.run([go(), "mod", "download", "-json", f"{path}@{version}"], capture_output=True, text=True)
    try:
        told: dict[str, str] = json.loads(done.stdout)
    except ValueError:
        told = {"Error": done.stderr}
    if "Error" in told:
        raise NotReady(f"{path}@{version}: {told['Error']}")
    return Path(told["Dir"])


def program(package: str, version: str, folder: Path) -> Path:
    """Return a Go program in a folder, compiled there, without C, if it is not there yet.

    Raises: BadInput if there is no Go; NotReady with what Go says.
    """
    path = folder / package.rpartition("/")[2]
    if not path.exists():
        command = [go(), "install", "-trimpath", "-ldflags", "-s -w", f"{package}@{version}"]
        told = os.environ | {"GOBIN": str(folder), "CGO_ENABLED": "0"}
        done = subprocess.run(command, env=told, capture_output=True, text=True)
        if done.returncode:
            raise NotReady(f"{path.name} does not compile: {done.stderr[-2000:]}")
    return path

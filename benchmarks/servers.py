"""Other model servers, each in a virtual environment of its own, made when it is first needed."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.process import PEERS, Process, free_port
from infra.local.machine import ROOT
from shared.errors import BadInput

_HOME: Final = ROOT / ".marquee/peers"


def python_of(name: str) -> str:
    """Return the Python of a peer's virtual environment. Raises: BadInput if it cannot be installed."""
    return str(_environment(name) / "bin/python")


def kserve(folder: Path) -> Process:
    """Return KServe's Python model server with the model in a folder; it answers POST /v1/models/top:predict."""
    port = free_port()
    command = [python_of("kserve"), str(PEERS / "kserve_top.py"), str(folder), str(port)]
    return Process(command, _told(), f"http://127.0.0.1:{port}/v1/models/top")


def bentoml(folder: Path) -> Process:
    """Return BentoML with the model in a folder; it answers POST /top."""
    port = free_port()
    command = [str(_environment("bentoml") / "bin/bentoml"), "serve", "bentoml_top:Top", "--host", "127.0.0.1"]
    told = {"MODEL_FOLDER": str(folder), "BENTOML_HOME": str(folder.parent / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"}
    return Process([*command, "--port", str(port)], _told() | told, f"http://127.0.0.1:{port}/readyz")


def _told() -> dict[str, str]:
    """Threads of BLAS are left to the servers' own choice: one less would not be faster."""
    return {"PYTHONPATH": str(ROOT), "PATH": os.environ.get("PATH", os.defpath)}


def _environment(name: str) -> Path:
    """Return the folder of a peer's virtual environment, installed if what it shall hold has changed."""
    wanted, folder = PEERS / f"{name}.txt", _HOME / name
    installed = folder / "installed.txt"
    if installed.exists() and installed.read_bytes() == wanted.read_bytes():
        return folder
    print(f"installing {name} into {folder}, half a minute", file=sys.stderr)
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--requirement", str(wanted)]
    for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], pip):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise BadInput(f"{name} cannot be installed: {done.stderr}")
    installed.write_bytes(wanted.read_bytes())
    return folder

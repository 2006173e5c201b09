"""DVC and GTO in a virtual environment of their own, made when they are first needed.

DVC's way to S3 holds boto3 back, which the functions are not; so nothing is imported from there, only run.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from infra.cache import cache
from shared.errors import BadInput, NotReady

REQUIREMENTS: Final = Path(__file__).with_name("requirements.txt")
_SECONDS: Final = 600

Tool = Literal["dvc", "gto"]


def run(tool: Tool, *arguments: str, cwd: Path, environment: Mapping[str, str] = os.environ) -> str:
    """Run a tool in a folder and return what it printed. Raises: NotReady with what it said if it fails."""
    command = [str(installed() / tool), *arguments]
    try:
        done = subprocess.run(command, cwd=cwd, env=told(environment), capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        raise NotReady(f"{tool} {arguments[0]} did not end within {_SECONDS} s") from None
    if done.returncode:
        raise NotReady(f"{tool} {arguments[0]}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def told(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a tool is told: `python` is this one, so that stages have the project's libraries."""
    quiet = {"DVC_NO_ANALYTICS": "1", "AWS_DEFAULT_REGION": environment.get("AWS_DEFAULT_REGION", "us-east-1")}
    path = f"{Path(sys.executable).parent}:{environment.get('PATH', os.defpath)}"
    return {**environment, **quiet, "PATH": path}


def installed() -> Path:
    """Return the folder of the tools' commands, installed if no environment holds what the lock says.

    Raises: BadInput if they cannot be.
    """
    wanted = REQUIREMENTS.read_bytes()
    folder = cache("provenance") / hashlib.sha256(wanted).hexdigest()[:16]
    done = folder / "installed"
    if not done.exists():
        with _alone(folder.with_suffix(".lock")):
            if not done.exists():
                _install(folder)
                done.touch()
    return folder / "bin"


def _install(folder: Path) -> None:
    print("installing DVC and GTO, a minute", file=sys.stderr)
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(REQUIREMENTS)]
    for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], pip):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise BadInput(f"DVC and GTO cannot be installed: {done.stderr}")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time into a block."""
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield

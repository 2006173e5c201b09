"""The locked requirements of each image: its part of requirements.txt, with the same versions and hashes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from infra.images.targets import EXTRAS, PLAIN
from infra.local.machine import ROOT

REQUIREMENTS: Final = "infra/images/requirements"
TOOLS: Final = "tools"
"""What builds need and no image holds: the dependency group `images`."""

_COMPILE: Final = (
    *("uv", "pip", "compile", "--generate-hashes", "--no-strip-extras", "--no-emit-index-url", "--no-annotate"),
    *("--quiet", "--python-version", "3.11", "--custom-compile-command", "make lock"),
)


def commands() -> Iterator[list[str]]:
    """Yield the commands that write a file for each extra, and one for the builds' own tools."""
    for extra in EXTRAS:
        chosen = [] if extra == PLAIN else ["--extra", extra]
        locked = ["--constraint", "requirements.txt", "--output-file", f"{REQUIREMENTS}/{extra}.txt"]
        yield [*_COMPILE, "pyproject.toml", *chosen, *locked]
    yield [*_COMPILE, "--group", "images", "--output-file", f"{REQUIREMENTS}/{TOOLS}.txt"]


def lock() -> None:
    """Write them, by the uv beside this Python."""
    for command in commands():
        subprocess.run([Path(sys.executable).parent / command[0], *command[1:]], check=True, cwd=ROOT)

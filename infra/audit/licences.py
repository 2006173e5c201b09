"""Under which licences the installed libraries are, as pip-licenses reads it from their metadata."""

import json
import re
import subprocess
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final, NamedTuple

from shared.errors import NotReady

OWN: Final = "marquee"
_EITHER: Final = re.compile(r" OR |; ")  # "; " stands between classifiers, of which one may choose


class Licensed(NamedTuple):
    """A library, and its licence as an SPDX expression or by the names of its classifiers."""

    library: str
    version: str
    licence: str


def is_allowed(licence: str, allowed: Collection[str]) -> bool:
    """Say whether a licence is allowed: one of several that may be chosen, or each of several that hold together.

    An expression with brackets is allowed only if it is named as a whole.
    """
    choices = (each.split(" AND ") for each in _EITHER.split(licence))
    return licence in allowed or any(all(part in allowed for part in choice) for choice in choices)


def refused(found: Iterable[Licensed], allowed: Collection[str], excepted: Collection[str]) -> list[Licensed]:
    """Return the libraries whose licence is not allowed, and which are no exceptions."""
    return [each for each in found if each.library not in excepted and not is_allowed(each.licence, allowed)]


def installed(python: Path = Path(sys.executable)) -> list[Licensed]:
    """Return all libraries that a Python has, but for our own. Raises: NotReady with what pip-licenses says."""
    program = str(Path(sys.executable).parent / "pip-licenses")
    command = [program, "--python", str(python), "--from", "mixed", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise NotReady(f"pip-licenses: {done.stderr.strip()[-500:]}")
    found = [Licensed(each["Name"].lower(), each["Version"], each["License"]) for each in json.loads(done.stdout)]
    return sorted(each for each in found if each.library != OWN)

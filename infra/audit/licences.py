"""Under which licences the installed libraries are, as pip-licenses reads it from their metadata."""

import json
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from shared.errors import NotReady

OWN: Final = "marquee"
_UNKNOWN: Final = ("UNKNOWN", "")


class Licensed(NamedTuple):
    """A library, and its licence as an SPDX expression or by the names of its classifiers."""

    library: str
    version: str
    licence: str


def is_allowed(licence: str, allowed: Collection[str]) -> bool:
    """Say whether a licence is allowed: of an expression one choice of `OR`, of several classifiers each.

    Classifiers do not say whether one may choose or all hold. An expression with brackets is allowed only if it is
    named as a whole.
    """
    return licence in allowed or all(_may_choose(each, allowed) for each in licence.split("; "))


def _may_choose(expression: str, allowed: Collection[str]) -> bool:
    return any(all(each in allowed for each in choice.split(" AND ")) for choice in expression.split(" OR "))


def refused(found: Iterable[Licensed], allowed: Collection[str], excepted: Mapping[str, str]) -> list[Licensed]:
    """Return the libraries whose licence is not allowed, nor the one that is accepted of that library."""
    return [
        each for each in found if each.licence != excepted.get(each.library) and not is_allowed(each.licence, allowed)
    ]


def refusal(each: Licensed) -> str:
    """Return why a library is refused, and what to do about it."""
    if each.licence in _UNKNOWN:
        return (
            f"{each.library} {each.version} names no licence: read the one that it comes with, and if it may be, name "
            f'both, as licence "{each.licence}", in [tool.marquee.audit.under_others] of pyproject.toml'
        )
    return (
        f"{each.library} {each.version} is under {each.licence}, which is not allowed: [tool.marquee.audit] of "
        "pyproject.toml says what is, and why"
    )


def installed(python: Path = Path(sys.executable)) -> list[Licensed]:
    """Return all libraries that a Python has, but for our own. Raises: NotReady with what pip-licenses says."""
    program = str(Path(sys.executable).parent / "pip-licenses")
    command = [program, "--python", str(python), "--from", "mixed", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise NotReady(f"pip-licenses: {done.stderr.strip()[-500:]}")
    found = [Licensed(each["Name"].lower(), each["Version"], each["License"]) for each in json.loads(done.stdout)]
    return sorted(each for each in found if each.library != OWN)

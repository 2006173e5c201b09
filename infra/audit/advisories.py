"""Which locked libraries have known holes: pip-audit asks PyPI, or a service that answers as OSV does (osv.dev)."""

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from infra.images.lock import REQUIREMENTS, TOOLS
from infra.images.targets import EXTRAS
from infra.local.machine import ROOT
from shared.errors import NotReady

LISTS: Final = (
    ("requirements.txt", *(f"{REQUIREMENTS}/{extra}.txt" for extra in EXTRAS)),
    (f"{REQUIREMENTS}/{TOOLS}.txt",),
    ("infra/provenance/requirements.txt",),
)
"""Every list of locked libraries; those that stand together have one version of each."""


class Hole(NamedTuple):
    """An advisory about a library, and the versions that mend it."""

    library: str
    advisory: str
    mended_in: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.library}: {self.advisory}, mended in {', '.join(self.mended_in) or 'no version'}"


@dataclass(frozen=True)
class Answer:
    """What is known of some libraries: their holes, how many were asked about, and why nobody knew of the others."""

    holes: frozenset[Hole]
    n_libraries: int
    unknown: tuple[str, ...]

    def __add__(self, other: "Answer") -> "Answer":
        unknown = self.unknown + other.unknown
        return Answer(self.holes | other.holes, self.n_libraries + other.n_libraries, unknown)


NONE: Final = Answer(frozenset(), 0, ())


def command(lists: Iterable[str], accepted: Iterable[str], url: str) -> list[str]:
    """Return how pip-audit is asked about lists, but for accepted advisories; `url` is of a copy of OSV, or empty."""
    return [
        str(Path(sys.executable).parent / "pip-audit"),
        *("--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json", "--desc", "off"),
        *(word for each in accepted for word in ("--ignore-vuln", each)),
        *(("--vulnerability-service", "osv", "--osv-url", url) if url else ()),
        *(word for each in lists for word in ("--requirement", each)),
    ]


def read(said: str) -> Answer:
    """Return what pip-audit's JSON says. Raises: ValueError, KeyError or TypeError if it is another thing."""
    libraries = {each["name"]: each for each in json.loads(said)["dependencies"]}
    holes = {
        Hole(f"{name} {each['version']}", hole["id"], tuple(hole["fix_versions"]))
        for name, each in libraries.items()
        for hole in each.get("vulns", ())
    }
    unknown = tuple(each["skip_reason"] for each in libraries.values() if "skip_reason" in each)
    return Answer(frozenset(holes), len(libraries), unknown)


def ask(lists: Sequence[str], accepted: Iterable[str], url: str = "") -> Answer:
    """Ask about lists. Raises: NotReady with pip-audit's last word if nobody answers."""
    done = subprocess.run(command(lists, accepted, url), cwd=ROOT, capture_output=True, text=True)
    try:
        return read(done.stdout)  # its exit status is 1 for a hole, too
    except (ValueError, KeyError, TypeError):
        last = (done.stderr.strip() or "pip-audit said nothing").splitlines()[-1]
        raise NotReady(last[:500]) from None

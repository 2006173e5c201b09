"""What a benchmark says in the end: one line of JSON."""

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True)
class Result:
    """A claim, the two numbers behind it, and the bar their ratio must pass.

    `ratio` is how many times better ours is than the peer: above 1 is better, whichever way the unit counts.
    """

    claim: str
    ours: float
    peer: float
    unit: str
    ratio: float
    bar: float
    details: dict[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """Return the line of JSON."""
        facts = asdict(self) | {"holds": self.ratio >= self.bar, "machine": machine()}
        return json.dumps({name: round(fact, 5) if isinstance(fact, float) else fact for name, fact in facts.items()})


def machine() -> str:
    """Return what the numbers were measured on."""
    cpu = next(
        (line.split(":")[1].strip() for line in _cpuinfo().splitlines() if line.startswith("model name")),
        platform.processor(),
    )
    gib = psutil.virtual_memory().total / 2**30
    return f"{len(os.sched_getaffinity(0))} x {cpu}, {gib:.0f} GiB, {platform.system()} {platform.release()}"


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""

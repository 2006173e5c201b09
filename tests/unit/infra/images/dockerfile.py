"""A Dockerfile as its stages, for tests that ask what it claims."""

import fnmatch
import re
from pathlib import Path
from typing import NamedTuple


class Stage(NamedTuple):
    """A stage: what it begins from, and its instructions as pairs of name and argument."""

    base: str
    steps: list[tuple[str, str]]

    def of(self, name: str) -> list[str]:
        """Return the arguments of all instructions of a name."""
        return [argument for each, argument in self.steps if each == name]


def stages(text: str) -> dict[str, Stage]:
    """Return the stages by name."""
    lines = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", text)).splitlines()
    found: dict[str, Stage] = {}
    current: list[tuple[str, str]] = []
    for line in filter(str.strip, lines):
        name, _, argument = line.strip().partition(" ")
        if name == "FROM":
            base, _, stage = argument.partition(" AS ")
            current = []
            found[stage] = Stage(base, current)
        else:
            current.append((name, " ".join(argument.split())))
    return found


def copied(stages: dict[str, Stage]) -> list[str]:
    """Return what is copied from the folder that an image is built from."""
    arguments = [argument.split() for stage in stages.values() for argument in stage.of("COPY")]
    return [source for each in arguments if not each[0].startswith("--from=") for source in each[:-1]]


def ignored(dockerfile: Path, root: Path) -> Path:
    """Return the list of what a builder is not sent: one beside the Dockerfile, or else that of the folder."""
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    return own if own.exists() else root / ".dockerignore"


def is_sent(path: str, ignore: str) -> bool:
    """Say whether a builder is sent a path by a list of what it is not: the last pattern that matches counts."""
    sent = True
    parts = path.strip("/").split("/")
    ways = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
    for line in ignore.splitlines():
        pattern = line.strip().removeprefix("!").strip("/")
        if pattern and not line.startswith("#") and any(fnmatch.fnmatchcase(way, pattern) for way in ways):
            sent = line.startswith("!")
    return sent

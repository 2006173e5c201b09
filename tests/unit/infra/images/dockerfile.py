"""A Dockerfile as its stages, for tests that ask what it claims."""

import re
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

"""A clean clone, and the make targets of the clone."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.errors import BadInput

_OURS: Final = (
    *("PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MARQUEE_HOME"),
    "PROVENANCE_REPOSITORY",
)
"""What this shell was told about another checkout, and where real models are registered."""

STORE: Final = ("BUCKET", "S3_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
"""What this shell may have been told about a store: only targets that need it hear of it."""


@dataclass(frozen=True)
class Clone:
    """A checkout of what is committed, whose origin is a repository of its own: what it pushes stays here."""

    folder: Path
    logs: Path
    environment: Mapping[str, str]

    @classmethod
    def of(cls, repository: Path, home: Path, told: Mapping[str, str]) -> "Clone":
        """Clone a repository's commit into a folder. Raises: BadInput with git's own words."""
        origin, folder, logs = home / "origin.git", home / "marquee", home / "logs"
        _git("clone", "--quiet", "--bare", "--no-hardlinks", str(repository), str(origin))
        _git("clone", "--quiet", str(origin), str(folder))
        logs.mkdir()
        inherited = {name: value for name, value in os.environ.items() if name not in (*_OURS, *STORE)}
        return cls(folder, logs, {**inherited, **told})

    def log(self, target: str) -> Path:
        """Return where it stands what a target said."""
        return self.logs / f"{target}.log"

    def make(self, target: str, told: Mapping[str, str]) -> int:
        """Make a target that is told something besides, and return make's exit status."""
        environment = {**self.environment, **told}
        with self.log(target).open("w") as log:
            done = subprocess.run(
                ["make", target], cwd=self.folder, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        return done.returncode


def _git(*arguments: str) -> None:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise BadInput(f"`git {' '.join(arguments)}` failed: {done.stderr.strip()}")

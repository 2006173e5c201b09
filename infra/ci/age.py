"""How old the models are that were registered last: their tags in git say so."""

import re
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from shared.errors import BadInput
from shared.events import ALGORITHMS, Algorithm

Age = Literal["fresh", "old"]


def age(newest: Mapping[Algorithm, datetime], now: datetime, limit: timedelta) -> Age:
    """Return whether a model of every algorithm is younger than a limit; one that was never registered is old."""
    known = [newest.get(algorithm) for algorithm in ALGORITHMS]
    return "fresh" if all(moment is not None and now - moment < limit for moment in known) else "old"


def newest(lines: Iterable[str]) -> dict[Algorithm, datetime]:
    """Return when each algorithm's last model was registered, from lines `svd@v1.4.0 <seconds since 1970>`."""
    found: dict[Algorithm, datetime] = {}
    for line in lines:
        tag, seconds = line.split()
        for algorithm in ALGORITHMS:
            if tag.startswith(f"{algorithm}@v"):
                moment = datetime.fromtimestamp(int(seconds), UTC)
                found[algorithm] = max(moment, found.get(algorithm, moment))
    return found


def tags(repository: Path, registered_in: str = "") -> list[str]:
    """Return the tags of registered models, as `newest` reads them, with those of another repository.

    Raises: BadInput with git's own words, without passwords.
    """
    patterns = [f"refs/tags/{algorithm}@v*" for algorithm in ALGORITHMS]
    if registered_in:
        _git(repository, "fetch", "--quiet", "--no-tags", registered_in, *(f"+{each}:{each}" for each in patterns))
    form = "--format=%(refname:strip=2) %(creatordate:unix)"
    return _git(repository, "for-each-ref", form, *patterns).splitlines()


def _git(repository: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True, text=True)
    if done.returncode:
        said = re.sub(r"//[^/@\s]+@", "//", done.stderr.strip())
        raise BadInput(f"the age of the models stands in git's tags: {said}")
    return done.stdout

"""How old the models are that were registered last: their tags in git say so."""

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


def tags(repository: Path) -> list[str]:
    """Return the tags of registered models, as `newest` reads them. Raises: BadInput with git's own words."""
    patterns = [f"refs/tags/{algorithm}@v*" for algorithm in ALGORITHMS]
    form = "--format=%(refname:strip=2) %(creatordate:unix)"
    done = subprocess.run(
        ["git", "-C", str(repository), "for-each-ref", form, *patterns], capture_output=True, text=True
    )
    if done.returncode:
        raise BadInput(f"the age of the models stands in git's tags: {done.stderr.strip()}")
    return done.stdout.splitlines()

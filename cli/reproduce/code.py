"""The code of another commit, beside this one."""

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from infra.images.facts import UNKNOWN
from shared.errors import BadInput

_COMMIT: Final = re.compile(r"([0-9a-f]{40})(-dirty)?")


def commit(told: str, repository: Path) -> tuple[str, bool]:
    """Return a commit that a manifest names, and whether the code differed from it.

    Raises: BadInput if it names none, or one that is not here.
    """
    named = _COMMIT.fullmatch(told)
    if not named:
        what = "does not say which commit made it" if told == UNKNOWN else f"names {told[:60]!r}, which is no commit"
        raise BadInput(f"the manifest {what}, so its code cannot be had")
    if _git(repository, "cat-file", "-e", f"{named[1]}^{{commit}}").returncode:
        raise BadInput(f"commit {named[1]} is not in {repository}: fetch it, or run this where it is")
    return named[1], bool(named[2])


@contextmanager
def checkout(name: str, repository: Path) -> Iterator[Path]:
    """Have a commit's code in a folder, a worktree of the repository, for the length of a block. Raises: BadInput."""
    with tempfile.TemporaryDirectory(prefix="marquee-reproduce-") as folder:
        code = Path(folder) / "code"
        done = _git(repository, "worktree", "add", "--detach", str(code), name)
        if done.returncode:
            raise BadInput(f"commit {name} cannot be checked out: {done.stderr.strip()}")
        try:
            yield code
        finally:
            _git(repository, "worktree", "remove", "--force", str(code))


def _git(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True, text=True)
    except OSError as error:
        raise BadInput(f"git is needed: {error}") from None

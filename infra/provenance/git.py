"""git, asked without a terminal, and never in words that could hold a password."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from shared.errors import Conflict, NotReady

_SECONDS: Final = 120
_USERINFO: Final = re.compile(r"(\w+://)[^/@\s]+@")
_NAME: Final = "Marquee"
_EMAIL: Final = "marquee@localhost"
_GIVEN: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")  # by a hook of git's that we may run in


def identity(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with somebody who commits and tags, if it names nobody, and with no terminal to ask at."""
    names = {f"GIT_{role}_NAME": _NAME for role in ("AUTHOR", "COMMITTER")}
    addresses = {f"GIT_{role}_EMAIL": _EMAIL for role in ("AUTHOR", "COMMITTER")}
    kept = {name: value for name, value in environment.items() if name not in _GIVEN}
    return {**names, **addresses, **kept, "GIT_TERMINAL_PROMPT": "0"}


def git(*arguments: str, cwd: Path, given: bytes | None = None) -> bytes:
    """Return what git prints. Raises: NotReady with what it says if it fails, or answers too late."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=cwd, input=given, capture_output=True, timeout=_SECONDS, env=identity(os.environ)
        )
    except subprocess.TimeoutExpired:
        raise NotReady(f"git {arguments[0]} did not end within {_SECONDS} s") from None
    except FileNotFoundError:
        raise NotReady("git is not installed") from None
    if done.returncode:
        raise NotReady(f"git {arguments[0]}: {public(done.stderr.decode(errors='replace')).strip()}")
    return done.stdout


def text(*arguments: str, cwd: Path) -> str:
    """Return what git prints, as a line or lines."""
    return git(*arguments, cwd=cwd).decode().strip()


def public(words: str) -> str:
    """Return words in which no URL has a name or a password."""
    return _USERINFO.sub(r"\1", words)


def push(*references: str, to: str, cwd: Path) -> None:
    """Push all or nothing; what stands there is never replaced. Raises: Conflict if anything was in the way."""
    try:
        git("push", "--quiet", "--atomic", to, *references, cwd=cwd)
    except NotReady as error:
        raise Conflict(str(error)) from error

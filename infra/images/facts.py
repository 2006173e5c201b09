"""What an image says of where it comes from."""

import subprocess
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from shared.errors import BadInput

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Facts:
    """The commit, its moment in seconds since 1970, the version of the project, and where its source is."""

    commit: str
    epoch: int
    version: str
    source: str

    @property
    def arguments(self) -> dict[str, str]:
        """The build arguments of the Dockerfile that say so."""
        return {
            "GIT_COMMIT": self.commit,
            "CREATED": datetime.fromtimestamp(self.epoch, UTC).isoformat().replace("+00:00", "Z"),
            "VERSION": self.version,
            "SOURCE": self.source,
        }


def read(root: Path) -> Facts:
    """Return the facts of a working folder. Raises: BadInput if it is none of git's."""
    commit, epoch = _git(root, "log", "-1", "--format=%H %ct").split()
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    remotes = _git(root, "remote").split()
    source = _git(root, "remote", "get-url", remotes[0]) if remotes else ""
    return Facts(f"{commit}-dirty" if changed else commit, int(epoch), version, public(source))


def public(url: str) -> str:
    """Return an address that may stand in an image: of the web, without user and password."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return UNKNOWN
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _git(root: Path, *arguments: str) -> str:
    try:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise BadInput(f"images are built from a clone, by git's commit: {error}") from None

"""Where things are kept that are made once and for all versions of the project."""

import os
from pathlib import Path


def cache(name: str) -> Path:
    """Return a folder of the user's cache; it may be deleted at any time, and is made again."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "marquee" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder

"""The file system that images stand on where no registry is asked: Debian's smallest, with Python."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

SUITE: Final = "bookworm"

_PACKAGES: Final = "python3,python3-venv,ca-certificates"
_LEFT_OUT: Final = (
    *("var/cache/apt", "var/cache/ldconfig", "var/lib/apt/lists", "var/log"),
    *("usr/share/doc", "usr/share/locale", "usr/share/man"),
)


def file_system(folder: Path, run: Callable[[list[str]], object]) -> None:
    """Make it by `debootstrap`, without what only its packages' manager and people read, nor copies of this machine's.

    The same packages make the same files, whenever.
    """
    run(["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", SUITE, str(folder)])
    for part in _LEFT_OUT:
        shutil.rmtree(folder / part)
        (folder / part).mkdir()
    for file in ("etc/hostname", "etc/resolv.conf"):
        (folder / file).unlink(missing_ok=True)

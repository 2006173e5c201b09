"""Leave out of an image what no function needs: `python trim.py SITE_PACKAGES`, while it is built.

It stands alone: nothing of Marquee is there yet, and no library that it could use.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from typing import Final

WASTE: Final = (
    "**/tests",
    "**/*.pyi",
    "**/*.pyx",  # sources of what is compiled
    "**/*.pxd",
    "**/*.pxi",
    "**/*.[ch]",
    "**/*.[ch]pp",
    "pyarrow/include",
    "pyarrow/src",
    "pyarrow/*flight*",  # servers of columns
    "pyarrow/*arrow_s3.so*",  # S3 is read by boto3 and delta-rs
    "pyarrow/_s3fs.*",
    "pyarrow/libarrow*.so",  # copies, for linkers, of what is loaded as lib*.so.<number>
    "pyarrow/libarrow*.so.*.*",
)
"""What is deleted, as globs within site-packages."""

SERVICES: Final = ("s3", "sts")
"""Whose descriptions botocore keeps, of hundreds: the store, and the way to its keys by a pod's account."""

STRIPPED: Final = (
    "aiohttp",
    "frozenlist",
    "httptools",
    "llvmlite",
    "multidict",
    "nacl",
    "propcache",
    "pyarrow",
    "uvloop",
    "yaml",
    "yarl",
)
"""Packages whose compiled modules lose their symbols, which only debuggers read.

Those of numpy and scipy keep theirs: auditwheel has rewritten them, and what strip makes of such a file may not load.
"""


def waste(packages: Path) -> Iterator[Path]:
    """Yield every file and folder to delete."""
    for pattern in WASTE:
        yield from packages.glob(pattern)
    for service in (packages / "botocore/data").glob("*/"):
        if service.is_dir() and service.name not in SERVICES:
            yield service


def compiled(packages: Path) -> Iterator[Path]:
    """Yield every compiled module to strip."""
    for name in STRIPPED:
        yield from (path for path in (packages / name).glob("**/*.so*") if not path.is_symlink())


def size(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def trim(packages: Path) -> None:
    """Delete and strip."""
    before = size(packages)
    for path in list(waste(packages)):
        if path.is_dir():
            rmtree(path)
        else:
            path.unlink(missing_ok=True)  # it stood in a folder that is gone
    if modules := list(compiled(packages)):
        subprocess.run(["strip", "--strip-unneeded", *modules], check=True)
    print(f"{before / 1e6:.0f} MB of libraries, {size(packages) / 1e6:.0f} MB kept")


if __name__ == "__main__":
    trim(Path(sys.argv[1]))

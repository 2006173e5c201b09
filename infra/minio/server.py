"""MinIO on this machine: compiled once, kept in the user's cache, and what starts it."""

import os
import re
from pathlib import Path
from typing import Final

from infra.cache import cache
from infra.go import program
from infra.minio.set_up import Key

_DOCKERFILE: Final = Path(__file__).with_name("Dockerfile")


def version() -> str:
    """Return the version of MinIO that we run everywhere: the one of the image."""
    found = re.search(r"^ARG MINIO=(\S+)$", _DOCKERFILE.read_text(), re.MULTILINE)
    assert found
    return found[1]


def build() -> Path:
    """Return MinIO's program, compiled from its Go module if it is not there yet: some minutes, 200 MB in Go's cache.

    Raises: BadInput if there is no Go; NotReady with what Go says.
    """
    return program("github.com/minio/minio", version(), cache(f"minio-{version()}"))


def command(data: Path, address: str, certificates: Path | None = None) -> list[str]:
    """Return what starts MinIO at host:port; with a folder of certificates (public.crt, private.key), by https.

    Raises: BadInput, NotReady.
    """
    secured = [f"--certs-dir={certificates}"] if certificates else []
    return [str(build()), "server", *secured, f"--address={address}", str(data)]


def environment(root: Key) -> dict[str, str]:
    """Return what MinIO is told."""
    return {
        "PATH": os.defpath,
        "HOME": "/nonexistent",
        "MINIO_ROOT_USER": root.name,
        "MINIO_ROOT_PASSWORD": root.secret,
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
    }

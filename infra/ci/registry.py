"""A registry of images on this machine, the one that most registries are made of, compiled once from its Go module."""

import hashlib
import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from infra.cache import cache
from infra.go import program
from shared.errors import Corrupt, NotReady

_PACKAGE: Final = "github.com/distribution/distribution/v3/cmd/registry"
_VERSION: Final = "v3.0.0"
_MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_SECONDS: Final = 20
_CHUNK: Final = 2**20


def build() -> Path:
    """Return the registry's program. Raises: BadInput if there is no Go; NotReady with what Go says."""
    return program(_PACKAGE, _VERSION, cache(f"registry-{_VERSION}"))


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run a registry for the length of a block, on the loopback, and yield its address; what it holds stays.

    Raises: BadInput, NotReady.
    """
    command = build()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config, log = folder / "registry.yaml", folder / "registry.log"
    storage = {"filesystem": {"rootdirectory": str(folder / "registry")}}
    config.write_text(yaml.safe_dump({"version": 0.1, "storage": storage, "http": {"addr": address}}))
    with log.open("w") as said:
        process = subprocess.Popen([command, "serve", config], stdout=said, stderr=subprocess.STDOUT)
    try:
        _wait(address, process, log)
        yield address
    finally:
        process.terminate()
        process.wait()


def pull(reference: str) -> int:
    """Read an image of a registry on this machine by its digest, to its last byte, and return how many there are.

    Raises: Corrupt if anything is not what its digest says; NotReady if it is not there.
    """
    place, digest = reference.split("@")
    address, _, name = place.partition("/")
    base = f"http://{address}/v2/{name}"
    manifest = b"".join(_read(f"{base}/manifests/{digest}", digest))
    described: dict[str, Any] = json.loads(manifest)
    blobs = {each["digest"] for each in [described["config"], *described["layers"]]}
    return len(manifest) + sum(len(part) for blob in blobs for part in _read(f"{base}/blobs/{blob}", blob))


def _read(url: str, digest: str) -> Iterator[bytes]:
    found = hashlib.sha256()
    request = urllib.request.Request(url, headers={"Accept": ", ".join(_MANIFESTS)})
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            while part := answer.read(_CHUNK):
                found.update(part)
                yield part
    except OSError as error:
        raise NotReady(f"{url}: {error}") from error
    if digest != f"sha256:{found.hexdigest()}":
        raise Corrupt(f"{url} is sha256:{found.hexdigest()}")


def _wait(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            urllib.request.urlopen(f"http://{address}/v2/", timeout=_SECONDS).close()
            return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotReady(f"the registry does not answer: {log.read_text()[-2000:]}") from error
        time.sleep(0.05)

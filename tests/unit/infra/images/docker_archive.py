"""A docker-archive as an engine writes it, for tests that read one."""

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path


def layer(files: Mapping[str, bytes]) -> bytes:
    """Return a layer with these files."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        for name, data in files.items():
            _add(tar, name, data)
    return held.getvalue()


def write(path: Path, layers: Sequence[bytes]) -> None:
    """Write an image of these layers, the lowest first."""
    digests = [sha256(each).hexdigest() for each in layers]
    config = json.dumps({"config": {"User": "1"}, "rootfs": {"diff_ids": [f"sha256:{each}" for each in digests]}})
    name = f"{sha256(config.encode()).hexdigest()}.json"
    listed = json.dumps([{"Config": name, "Layers": [f"{each}.tar" for each in digests]}])
    with tarfile.open(path, "w") as tar:
        _add(tar, name, config.encode())
        for digest, data in zip(digests, layers, strict=True):
            _add(tar, f"{digest}.tar", data)
        _add(tar, "manifest.json", listed.encode())


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))

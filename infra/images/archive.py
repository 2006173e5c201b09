"""What is in a docker-archive: the file that `docker save` and buildah write."""

import json
import tarfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SBOM: Final = "app/sbom.cdx.json"


@dataclass(frozen=True)
class Layer:
    """A layer, by the digest and the size of its uncompressed tar, and where it is in the archive."""

    digest: str
    size: int
    member: str


@dataclass(frozen=True)
class Archive:
    """An image in a file. `digest` is that of its configuration: its id, by which a node knows it."""

    path: Path
    digest: str
    config: Mapping[str, Any]
    layers: tuple[Layer, ...]

    @classmethod
    def open(cls, path: Path) -> "Archive":
        """Read the image's description. Raises: KeyError, tarfile.TarError if it is no such archive."""
        with tarfile.open(path) as tar:
            manifest = json.load(_member(tar, "manifest.json"))[0]
            described = json.load(_member(tar, manifest["Config"]))
            found = zip(described["rootfs"]["diff_ids"], manifest["Layers"], strict=True)
            layers = tuple(Layer(digest, _whole(tar, name).size, name) for digest, name in found)
        name = Path(manifest["Config"]).name.removesuffix(".json")
        return cls(path, f"sha256:{name}", described, layers)

    def size_beyond(self, base: Collection[str]) -> int:
        """Return the bytes of the layers that are not of `base`, given by digest."""
        return sum(layer.size for layer in self.layers if layer.digest not in base)

    def file(self, name: str) -> bytes:
        """Return a file of the image, from the highest layer that holds it. Raises: KeyError if none does."""
        with tarfile.open(self.path) as tar:
            for layer in reversed(self.layers):
                with tarfile.open(fileobj=_member(tar, layer.member)) as files:
                    for member in files:
                        if member.name.removeprefix("./") == name and member.isfile():
                            found = files.extractfile(member)
                            return found.read() if found else b""
        raise KeyError(name)


def _whole(tar: tarfile.TarFile, name: str) -> tarfile.TarInfo:
    """Return a member; docker writes a layer that two images share as a link."""
    member = tar.getmember(name)
    return tar.getmember(str(Path(name).parent / member.linkname)) if member.issym() else member


def _member(tar: tarfile.TarFile, name: str) -> Any:
    return tar.extractfile(_whole(tar, name))

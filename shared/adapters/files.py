"""Files: a folder as a write-once store, for models that a person keeps on disk; a file that changes."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from shared.errors import Conflict, NotFound, NotReady
from shared.ports import Tagged


@dataclass(frozen=True)
class DirectoryStore:
    """One folder as a `WriteOnceStore`, for one writer at a time."""

    root: Path

    def get(self, key: str) -> Tagged:
        """Return the file and its SHA-256."""
        try:
            data = (self.root / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise NotFound(str(self.root / key)) from error
        return Tagged(data, hashlib.sha256(data).hexdigest())

    def put_new(self, key: str, data: bytes) -> None:
        """Write the file whole under a free name; its own bytes already there count as written."""
        path = self.root / key
        if path.exists():
            if path.read_bytes() != data:
                raise Conflict(str(path))
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_bytes(data)
        part.replace(path)


def replace(path: Path, data: bytes) -> None:
    """Write a file whole: whoever reads it finds the old bytes or the new ones. Raises: NotReady."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise NotReady(f"{path} cannot be written: {error}") from error

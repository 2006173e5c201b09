"""A folder as an object store, for models that a person keeps on disk."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from shared.errors import Conflict, NotFound
from shared.ports import Tagged


@dataclass(frozen=True)
class DirectoryStore:
    """One folder as an `ObjectStore`, for one writer at a time."""

    root: Path

    def get(self, key: str) -> Tagged:
        """Return the file and its SHA-256."""
        try:
            data = (self.root / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise NotFound(str(self.root / key)) from error
        return Tagged(data, hashlib.sha256(data).hexdigest())

    def put(self, key: str, data: bytes) -> None:
        """Write the file whole or not at all."""
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_bytes(data)
        part.replace(path)

    def put_new(self, key: str, data: bytes) -> None:
        """Write the file under a free name; its own bytes already there count as written."""
        path = self.root / key
        if path.exists():
            if path.read_bytes() != data:
                raise Conflict(str(path))
            return
        self.put(key, data)

    def put_if(self, key: str, data: bytes, tag: str) -> None:
        """Replace the file if it still has these contents."""
        if self.get(key).tag != tag:
            raise Conflict(str(self.root / key))
        self.put(key, data)

    def keys(self, prefix: str) -> list[str]:
        """Return the names below the folder that begin with prefix, in order."""
        names = (str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())
        return sorted(name for name in names if name.startswith(prefix))

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the files."""
        for key in keys:
            (self.root / key).unlink(missing_ok=True)

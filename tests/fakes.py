"""Stand-ins for the world, in memory."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from shared import keys
from shared.adapters.lake import DeltaLake
from shared.bootstrap import Deps
from shared.errors import Conflict, NotFound, NotReady
from shared.ports import Keyed, Tagged
from shared.settings import Settings

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ENVIRONMENT = {"BUCKET": "b", "S3_ENDPOINT": "http://127.0.0.1:1", "KAFKA_BOOTSTRAP": "127.0.0.1:1"}


class MemoryStore:
    """An `ObjectStore` that can be switched off."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.down = False

    def get(self, key: str) -> Tagged:
        self._answer()
        if key not in self.objects:
            raise NotFound(key)
        return Tagged(self.objects[key], hashlib.sha256(self.objects[key]).hexdigest())

    def put(self, key: str, data: bytes) -> None:
        self._answer()
        self.objects[key] = data

    def put_new(self, key: str, data: bytes) -> None:
        if self.objects.get(key, data) != data:
            raise Conflict(key)
        self.put(key, data)

    def put_if(self, key: str, data: bytes, tag: str) -> None:
        if self.get(key).tag != tag:
            raise Conflict(key)
        self.put(key, data)

    def keys(self, prefix: str) -> list[str]:
        self._answer()
        return sorted(key for key in self.objects if key.startswith(prefix))

    def delete(self, keys: Iterable[str]) -> None:
        self._answer()
        for key in keys:
            self.objects.pop(key, None)

    def _answer(self) -> None:
        if self.down:
            raise NotReady("the store is down")


@dataclass(frozen=True)
class FolderStore:
    """An `ObjectStore` in a folder, so that a Delta table in it is a part of the bucket."""

    folder: Path

    def get(self, key: str) -> Tagged:
        try:
            data = (self.folder / key).read_bytes()
        except FileNotFoundError:
            raise NotFound(key) from None
        return Tagged(data, hashlib.sha256(data).hexdigest())

    def put(self, key: str, data: bytes) -> None:
        (self.folder / key).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / key).write_bytes(data)

    def put_new(self, key: str, data: bytes) -> None:
        if (self.folder / key).exists() and self.get(key).data != data:
            raise Conflict(key)
        self.put(key, data)

    def put_if(self, key: str, data: bytes, tag: str) -> None:
        if self.get(key).tag != tag:
            raise Conflict(key)
        self.put(key, data)

    def keys(self, prefix: str) -> list[str]:
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(key for path in files if (key := str(path.relative_to(self.folder))).startswith(prefix))

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            (self.folder / key).unlink(missing_ok=True)


@dataclass
class MemoryPublisher:
    """A `Publisher` that remembers, and refuses while it is down."""

    events: list[Any] = field(default_factory=list)
    down: bool = False

    def publish(self, event: Any) -> None:
        if self.publish_all([(event, None)]):
            raise NotReady("Kafka is down")

    def publish_all(self, keyed: Sequence[Keyed]) -> list[Keyed]:
        if self.down:
            return list(keyed)
        self.events += [event for event, _ in keyed]
        return []

    def close(self) -> None:
        self.down = True


def deps(folder: Path, **settings: str) -> Deps:
    """Return dependencies in memory, with a real Delta table in a folder."""
    publisher = MemoryPublisher()
    return Deps(
        settings=Settings.from_env(ENVIRONMENT | {name.upper(): value for name, value in settings.items()}),
        objects=MemoryStore(),
        open_lake=lambda: DeltaLake(str(folder / "lake"), {}),
        open_publisher=lambda: publisher,
        log=structlog.get_logger(),
        now=lambda: NOW,
        environment={},
    )


def bucket(folder: Path, **settings: str) -> Deps:
    """Return dependencies whose bucket is a folder, with the lake in it."""
    lake = str(folder / "bucket" / keys.LAKE)
    return replace(
        deps(folder, **settings), objects=FolderStore(folder / "bucket"), open_lake=lambda: DeltaLake(lake, {})
    )

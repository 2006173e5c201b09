"""Stand-ins for the world, in memory."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from shared import keys
from shared.adapters.lake import DeltaLake
from shared.bootstrap import Deps
from shared.errors import Conflict, NotFound, NotReady
from shared.ports import ByHand, Deployed, Keyed, Made, Share, Tagged, Target
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


class MemoryRevisions:
    """The `Revisions` of one service, and its `Traffic`: users move once every revision that is asked for is ready.

    `ready` is what tests say of revisions; one that they say nothing of is ready. `history` has all traffic there was.
    `hand` moves users as a person does who knows nothing of this port.
    """

    def __init__(self, service: str) -> None:
        self.first = Share(f"{service}-00001", "stable", 100)
        self.asked: Sequence[Share] = [self.first]
        self.routed: Sequence[Share] = [self.first]
        self.models = {self.first.revision: ""}
        self.images: dict[str, str] = {}
        self.by_hand: ByHand | None = None
        self.ready: dict[str, bool | None] = {}
        self.version = 1
        self.down = False
        self.history: list[dict[str, int]] = []

    def deployed(self, service: str) -> Deployed:
        self._answer()
        self._reconcile()
        names = {share.revision for share in [*self.asked, *self.routed]}
        ready = {name: self.ready.get(name, True) for name in names}
        reasons = {name: "no answer" for name, is_ready in ready.items() if not is_ready}
        models = {name: self.models[name] for name in names if self.models.get(name)}
        return Deployed(tuple(self.routed), ready, reasons, str(self.version), self.by_hand, models)

    def deploy(self, service: str, made: Made, shares: Sequence[Share], version: str) -> None:
        assert self.models.get(made.revision, made.model_version) == made.model_version
        self.images[made.revision] = made.image
        self._ask(shares, version, {made.revision: made.model_version})

    def shift(self, service: str, shares: Sequence[Share], version: str) -> None:
        self._ask(shares, version, {})

    def targets(self, service: str) -> list[Target]:
        self._answer()
        return [Target(each.revision, each.tag, each.percent, f"http://{each.revision}") for each in self.routed]

    def hand(self, **users: int) -> None:
        """Give percentages of the users to models, without tags."""
        names = {model: name for name, model in self.models.items()}
        self._ask(
            [Share(names[model], f"by-hand-{model}", percent) for model, percent in users.items()],
            str(self.version),
            {},
        )
        self.by_hand = ByHand({names[model]: percent for model, percent in users.items() if percent}, "kubectl-edit")

    def users(self) -> dict[str, int]:
        """Return the percentage of users of each model."""
        return {self.models[each.revision]: each.percent for each in self.routed if each.percent}

    def _ask(self, shares: Sequence[Share], version: str, made: Mapping[str, str]) -> None:
        self._answer()
        if version != str(self.version):
            raise Conflict(f"{version} is not {self.version}")
        models = {**self.models, **made}
        names = [share.revision for share in shares]
        assert sum(share.percent for share in shares) == 100
        assert all(0 <= share.percent <= 100 for share in shares)
        assert len(set(names)) == len({share.tag for share in shares}) == len(shares) <= 2
        assert set(names) <= models.keys()
        assert set(made) <= set(names)
        self.by_hand = None
        if list(shares) != list(self.asked):
            self.asked, self.models, self.version = list(shares), models, self.version + 1
        self._reconcile()

    def _reconcile(self) -> None:
        able = {share.revision for share in self.routed}
        if all(share.revision in able or self.ready.get(share.revision, True) for share in self.asked):
            self.routed = self.asked
            self.models = {share.revision: self.models[share.revision] for share in self.routed}
        if not self.history or self.history[-1] != self.users():
            self.history.append(self.users())

    def _answer(self) -> None:
        if self.down:
            raise NotReady("the API server is down")


def deps(folder: Path, **settings: str) -> Deps:
    """Return dependencies in memory, with a real Delta table in a folder."""
    publisher = MemoryPublisher()
    return Deps(
        settings=Settings.from_env(ENVIRONMENT | {name.upper(): value for name, value in settings.items()}),
        objects=MemoryStore(),
        open_lake=lambda: DeltaLake(str(folder / "lake"), {}),
        open_commits=lambda: DeltaLake(str(folder / "lake"), {}),
        open_publisher=lambda: publisher,
        log=structlog.get_logger(),
        now=lambda: NOW,
        environment={},
    )


def bucket(folder: Path, **settings: str) -> Deps:
    """Return dependencies whose bucket is a folder, with the lake in it."""
    lake = str(folder / "bucket" / keys.LAKE)
    return replace(
        deps(folder, **settings),
        objects=FolderStore(folder / "bucket"),
        open_lake=lambda: DeltaLake(lake, {}),
        open_commits=lambda: DeltaLake(lake, {}),
    )

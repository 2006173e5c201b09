"""What the functions need of the world, as protocols of a few methods each."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from shared.rows import Kind

if TYPE_CHECKING:
    import pyarrow as pa


class Tagged(NamedTuple):
    """An object's bytes and the tag (S3's ETag) that names this state of it."""

    data: bytes
    tag: str


class WriteOnceStore(Protocol):
    """Named objects that never change. Every method may raise NotReady when the store cannot be reached."""

    def get(self, key: str) -> Tagged:
        """Return the object and its tag; raise NotFound."""

    def put_new(self, key: str, data: bytes) -> None:
        """Store the object; raise Conflict if the name is taken by other bytes."""


class ObjectStore(WriteOnceStore, Protocol):
    """Named objects that may change."""

    def put(self, key: str, data: bytes) -> None:
        """Store the object, replacing what was there."""

    def put_if(self, key: str, data: bytes, tag: str) -> None:
        """Replace the object if it still has this tag; raise Conflict if not."""

    def keys(self, prefix: str) -> list[str]:
        """Return the names that begin with prefix, in order."""

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects; one that is not there is no error."""


class Fold(NamedTuple):
    """The last fold that was committed: its number, its objects, and the lake's version after it."""

    number: int
    keys: list[str]


class Partition(NamedTuple):
    """All rows of a kind that were taken in on a day, UTC."""

    kind: str
    date: date


class DataFile(NamedTuple):
    """A file of the lake: its name, and how many rows it was written with."""

    path: str
    partition: Partition
    n_rows: int


class Vacuumed(NamedTuple):
    """How many files were taken out of the lake's folder, and their bytes."""

    n_files: int
    n_bytes: int


NO_VERSION: Final = -1
"""The version of a lake that nothing was ever committed to: it is empty, and only a commit makes it."""


Rows = Mapping[str, Sequence[Any]]
"""Columns by name, of Python's own values; moments are microseconds since 1970."""


class Commits(Protocol):
    """What comes into the lake."""

    def since(self, version: int, kinds: Collection[Kind], columns: Sequence[str]) -> tuple[int, Iterator[Rows]]:
        """Return the newest version, and the rows of some kinds that were committed after `version` up to it.

        The rows may repeat, and come in any order. Raise NotReady.
        """


class Lake(Commits, Protocol):
    """The table of everything that happened. Every method may raise NotReady."""

    def version(self) -> int:
        """Return the newest version, `NO_VERSION` before the first commit."""

    def last_fold(self) -> Fold:
        """Return the last committed fold; number 0 with no keys if there was none."""

    def fold(self, rows: "pa.Table", fold: Fold) -> int:
        """Commit rows as this fold, all or nothing; return the version. Raise Conflict if the number is taken."""

    def read(self, kind: str, columns: Sequence[str], version: int | None = None) -> "pa.Table":
        """Return each row of a kind once, at a version or now, all of them in memory."""

    def scan(
        self, kind: str, columns: Sequence[str], version: int | None = None, since: date | None = None
    ) -> Iterator["pa.RecordBatch"]:
        """Yield the stored rows of a kind batch by batch, repeats included, in any order, at a version or now.

        With `since`, only those taken in from that day on, UTC.
        """

    def find(
        self,
        kind: str,
        columns: Sequence[str],
        equal: Mapping[str, str],
        since: int | None = None,
        until: int | None = None,
    ) -> Sequence[Mapping[str, Any]]:
        """Return the few rows of a kind that have these texts, each once, by the place of their record.

        With `since` or `until`, only those taken in then (microseconds since 1970), which spares reading the others.
        """

    def counts(self) -> dict[str, int]:
        """Return how many rows of each kind are stored, repeats included, without reading them."""

    def files(self, version: int | None = None) -> Sequence[DataFile]:
        """Return the files that the table consists of, at a version or now, without reading them."""

    def compact(self) -> None:
        """Join small files; what readers see does not change."""

    def drop(self, partitions: Collection[Partition]) -> None:
        """Delete whole partitions in one commit. Their files stay until a vacuum, for readers of older versions."""

    def vacuum(self, live: Collection[int]) -> Vacuumed:
        """Delete the files that no version needs from the oldest of `live` on; what readers of those see stays."""

    def fence(self) -> None:
        """Make every commit fail with Conflict that somebody prepared from what stood before."""


class Target(NamedTuple):
    """A revision behind a service: the tag it is asked by, its percentage of the users, and where it alone answers.

    `host` is the Host header that a request needs there, if any; `revision` is empty where nobody says it.
    """

    revision: str
    tag: str
    percent: int
    url: str
    host: str | None = None


class Traffic(Protocol):
    """Where the router sends the requests of a service."""

    def targets(self, service: str) -> Sequence[Target]:
        """Return the targets of a service, some of the traffic on them; raise NotFound, NotReady, Corrupt."""


class Share(NamedTuple):
    """A revision's share of a service's traffic in percent, and the tag that it alone is asked by."""

    revision: str
    tag: str
    percent: int


class ByHand(NamedTuple):
    """How somebody else wants the users of a service to be shared out, in percent by revision, and who that is."""

    users: Mapping[str, int]
    who: str


class Deployed(NamedTuple):
    """What a service does.

    `shares` is what the router really does, empty while it does nothing yet; a tag in it is empty where there is none.
    `ready` has each revision that is or shall be routed to, unless it is gone and has to be made: True, False if it
    failed, None if nobody knows yet; `reasons` says of the latter two why. `version` names what was asked for, and
    changes with that alone. `by_hand` is what was asked for by others than those who use this port, None if nothing.
    `models` has the model that each of these revisions names, if it names one.
    """

    shares: Sequence[Share]
    ready: Mapping[str, bool | None]
    reasons: Mapping[str, str]
    version: str
    by_hand: ByHand | None = None
    models: Mapping[str, str] = MappingProxyType({})


class Made(NamedTuple):
    """A revision to be made: the model that it serves, and the image that it runs, empty for that of the newest one."""

    revision: str
    model_version: str
    image: str = ""


class Revisions(Protocol):
    """The revisions of services, each pinned to a model.

    What is asked for happens later: traffic moves once every revision in it is ready, and a revision that no share
    names is removed. Every method raises NotFound, NotReady or Corrupt; the writes also Conflict, if anything was asked
    for since that `version`, and BadSettings, if the shares make no sense, see `shares.check`.
    """

    def deployed(self, service: str) -> Deployed:
        """Return what a service does now."""

    def deploy(self, service: str, made: Made, shares: Sequence[Share], version: str) -> None:
        """Ask for a revision, unless it is there, and for these shares, its own among them.

        Raises also: Conflict if the revision is there with another model.
        """

    def shift(self, service: str, shares: Sequence[Share], version: str) -> None:
        """Ask for these shares."""


Keyed = tuple[Any, str | None]
"""An event, and the key whose events stay in order."""


class Publisher(Protocol):
    """The way to the other functions."""

    def publish(self, event: Any) -> None:
        """Send an event of `shared.events`; return when Kafka has it. Raise NotReady."""

    def publish_all(self, keyed: Sequence[Keyed]) -> list[Keyed]:
        """Send events together, those of one key in order; return those that Kafka did not take."""

    def close(self) -> None:
        """Send what is buffered and leave."""


class Log(Protocol):
    """An event name and facts."""

    def info(self, event: str, **facts: Any) -> Any:
        """Say what happened."""

    def warning(self, event: str, **facts: Any) -> Any:
        """Say what went wrong and was handled."""

"""Erase one user from the bucket, wherever they are, and prove it. docs/decisions/0011 says why it is done so.

The order is what makes it safe beside everything that goes on: first the list, so that nothing of theirs comes in, and
nothing is finished that may hold them; then what has landed, the lake, models and matrices, again until a pass finds
nothing. Each pass puts a fence into the lake's log, on which a compaction fails that had read the bytes of before.
Every step finds what is left of its work, so a run that was cut short is completed by the next.
"""

import hashlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Final, TypeVar

import pyarrow as pa
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random

from shared import erasure, failpoints, forgotten, keys
from shared.artifacts import rewrite
from shared.bootstrap import Deps
from shared.errors import Conflict, Corrupt, NotFound, NotReady
from shared.records import to_parquet

Counts = Counter[str]
T = TypeVar("T")

OnStep = Callable[[str, int, int], object]
"""Told what is done, with how many objects so far, and of how many."""

_PASSES: Final = 10
_TURN: Final = timedelta(minutes=30)
_WORKERS: Final = 4
_NOTHING: Final[Counts] = Counter()
_KIND: Final = re.compile(r"/kind=(\w+)/")
_ARTIFACT: Final = re.compile(r"(matrices/[^/]+|models/[^/]+/[^/]+)/")


@dataclass
class Report:
    """Whether the user had not asked before, what was erased where, and what is left.

    In `erased` rows count with every copy, as files of older versions have them; in `rows`, of those in the lake,
    each record once. `left` are the objects of all `n_searched` that mention the
    user or cannot be searched, and why.
    """

    is_new: bool
    erased: Counts = field(default_factory=Counter)
    rows: Counts = field(default_factory=Counter)
    n_searched: int = 0
    left: dict[str, str] = field(default_factory=dict)


def forget(user_id: str, deps: Deps, seconds_to_follow: float, on_step: OnStep = lambda *_: None) -> Report:
    """Erase a user, then search everything for them.

    Args: seconds_to_follow: how long until every `ingest` has read the list again. Raises: NotReady.
    """
    is_new, name = forgotten.remember(deps.objects, user_id)
    report = Report(is_new)
    failpoints.reach("forget.listed")
    on_step("waiting until nothing of theirs comes in", 0, 1)
    time.sleep(seconds_to_follow)
    on_step("waiting until nothing of theirs comes in", 1, 1)
    eraser = Eraser(user_id, name, deps, on_step)
    for _ in range(_PASSES):
        found = eraser.erase()
        report.erased += found
        if not found:
            break
    report.rows = Counter(what for what, _ in eraser.rows)
    report.left, report.n_searched = eraser.search()
    return report


@dataclass(frozen=True)
class Eraser:
    """One user, by id and by name on the list, the bucket they are taken out of, and what was in the way of it.

    `rows` are the records that were theirs in the lake, each with what it counts as.
    """

    user_id: str
    name: str
    deps: Deps
    on_step: OnStep
    trouble: dict[str, str] = field(default_factory=dict)
    rows: set[tuple[str, erasure.Record]] = field(default_factory=set)

    def erase(self) -> Counts:
        """Take the user out of everything once, and return where they were."""
        objects = self.deps.objects
        self._take_turn()
        found = self._all("landing", self._landed, objects.keys(keys.LANDING))
        found += self._all("refused objects", self._useless, objects.keys(keys.REFUSED))
        found += self._all("copies of DVC", partial(self._useless, what="copies that DVC kept"), objects.keys(keys.DVC))
        failpoints.reach("forget.landing")
        _persistently(self.deps.lake.fence)
        lake = objects.keys(f"{keys.LAKE}/")
        found += self._all("lake", self._lake_file, [key for key in lake if not key.startswith(keys.LAKE_LOG)])
        found += self._all("log of the lake", self._commit, [key for key in lake if key.startswith(keys.LAKE_LOG)])
        failpoints.reach("forget.lake")
        for what in ("models", "matrices"):  # in this order no model ever has users that its matrix does not have
            self._take_turn()
            found += self._all(what, self._artifact, _folders(objects.keys(f"{what}/")))
            failpoints.reach(f"forget.{what}")
        # Servers hold models and rows in memory, and load them anew when this changes.
        self.deps.channels.update(
            keys.ERASURE_CHANNEL, lambda now: {**now, "erasures": now.get("erasures", 0) + 1, "until": ""}
        )
        failpoints.reach("forget.told")
        return found

    def _take_turn(self) -> None:
        """Keep others from erasing for a while: two rewrites of one artifact would be in each other's way.

        Whoever was stopped may go on at once. Raises: NotReady while another user is being erased.
        """
        now = self.deps.now()

        def take(state: Mapping[str, Any]) -> Mapping[str, Any]:
            if state.get("by", self.name) != self.name and state.get("until", "") > now.isoformat():
                raise NotReady(
                    "another user is being erased, or was until the command was stopped: run it for that user again, or"
                    f" wait {_TURN.seconds // 60} minutes"
                )
            return {**state, "by": self.name, "until": (now + _TURN).isoformat()}

        self.deps.channels.update(keys.ERASURE_CHANNEL, take)

    def search(self) -> tuple[dict[str, str], int]:
        """Return every object that mentions the user or cannot be searched, and how many objects there are."""
        names = [key for key in self.deps.objects.keys("") if key != keys.SALT]
        reasons = zip(names, self._each("search", self._reason, names), strict=True)
        return {key: reason for key, reason in reasons if reason}, len(names)

    def _reason(self, key: str) -> str:
        try:
            return self.trouble.get(key, "mentions the user") if self._mentions(key) else ""
        except NotFound:
            return ""
        except Corrupt as error:
            return f"cannot be searched: {error}"

    def _mentions(self, key: str) -> int:
        return erasure.mentions(self.deps.objects.get(key).data, self.user_id)

    def _landed(self, key: str) -> Counts:
        """Store the rows of others under the name that vouches for them, and delete the object."""
        data = self.deps.objects.get(key).data
        n_rows = erasure.mentions(data, self.user_id)
        if not n_rows:
            return _NOTHING
        others = erasure.landed_without(data, self.user_id)
        if len(others):
            made, at = to_parquet(others), others["ingested_at"].cast(pa.int64())[0].as_py()
            self.deps.objects.put(keys.landing(at, hashlib.sha256(made).hexdigest()), made)
        failpoints.reach("forget.landing_put")
        self.deps.objects.delete([key])
        return Counter({"rows that had landed": n_rows})

    def _lake_file(self, key: str) -> Counts:
        data, tag = self.deps.objects.get(key)
        n_rows = erasure.mentions(data, self.user_id)
        if not n_rows:
            return _NOTHING
        records = erasure.records(data, self.user_id)
        self.deps.objects.put_if(key, erasure.file_without(data, self.user_id), tag)
        failpoints.reach("forget.lake_file")
        kind = _KIND.search(key)
        what = f"rows of kind {kind[1] if kind else 'unknown'} in the lake"
        self.rows.update([(what, record) for record in records])
        return Counter({what: n_rows})

    def _commit(self, key: str) -> Counts:
        """Take statistics that name the user out of the log; a checkpoint only repeats them, and goes."""
        data, tag = self.deps.objects.get(key)
        n_names = erasure.mentions(data, self.user_id)
        if not n_names:
            return _NOTHING
        if key.endswith(".json"):
            self.deps.objects.put_if(key, erasure.commit_without(data, self.user_id), tag)
        else:
            self.deps.objects.delete([f"{keys.LAKE_LOG}_last_checkpoint", key])
        return Counter({"statistics in the log of the lake": n_names})

    def _artifact(self, prefix: str) -> Counts:
        kind, *_, name = prefix.split("/")
        change = {
            "models": partial(erasure.model_without, user_id=self.user_id),
            "matrices": partial(erasure.matrix_without, name, user_id=self.user_id),
        }[kind]
        try:
            return Counter([kind] if rewrite(self.deps.objects, prefix, change, self.deps.signer) else [])
        except (Corrupt, NotFound):  # damaged, or never finished
            return self._all("", self._useless, self.deps.objects.keys(f"{prefix}/"))

    def _useless(self, key: str, what: str = "unreadable or unfinished objects") -> Counts:
        """Delete an object that nobody can use if the user is in it, or if that cannot be said."""
        try:
            if not self._mentions(key):
                return _NOTHING
        except Corrupt:
            pass
        self.deps.objects.delete([key])
        return Counter([what])

    def _all(self, what: str, erase: Callable[[str], Counts], names: Sequence[str]) -> Counts:
        def step(name: str) -> Counts:
            try:
                return erase(name)
            except NotFound:  # folded or vacuumed in the meantime
                return _NOTHING
            except Conflict:
                return Counter(["not erased but tried again: objects that somebody else wrote meanwhile"])
            except Corrupt as error:
                self.trouble[name] = str(error)
                return _NOTHING

        return sum(self._each(what, step, names), Counter())

    def _each(self, what: str, do: Callable[[str], T], names: Sequence[str]) -> list[T]:
        with ThreadPoolExecutor(_WORKERS) as pool:
            return list(self._told(what, pool.map(do, names), len(names)))

    def _told(self, what: str, done: Iterator[T], n: int) -> Iterator[T]:
        for number, each in enumerate(done, 1):
            yield each
            if what:
                self.on_step(what, number, n)


def _folders(names: Sequence[str]) -> list[str]:
    """Return the folders of artifacts, in order."""
    return sorted({match[1] for name in names if (match := _ARTIFACT.match(name))})


def _persistently(act: Callable[[], None]) -> None:
    """Do what others may be in the way of. Raises: Conflict if they still are after ten tries."""
    for attempt in Retrying(
        retry=retry_if_exception_type(Conflict), stop=stop_after_attempt(10), wait=wait_random(0, 1), reraise=True
    ):
        with attempt:
            act()

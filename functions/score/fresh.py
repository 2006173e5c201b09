"""What users did since a matrix was built: the lake's rows after its version, as they come in."""

import sys
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from shared.history import PANEL
from shared.ports import Rows
from shared.rows import Kind

KINDS: Final[tuple[Kind, ...]] = ("watch", "rating")
COLUMNS: Final = ("kind", "user_id", "movie_id", "rating", "topic", "partition", "offset", "time")
NEVER: Final = -(2**63)
"""Before any time."""


Record = tuple[str, int, int]
"""Topic, partition and offset."""


class Act(NamedTuple):
    """A movie was watched; `rating` is the latest, None without one.

    It was given at `rated_at`, in microseconds since 1970; of several at one moment the last `record` counts.
    """

    rating: float | None
    rated_at: int = NEVER
    record: Record = ("", -1, -1)


WATCHED: Final = Act(None)


@dataclass(frozen=True, eq=False)
class Acts:
    """What one user did, by movie. It never changes, and equals nothing but itself."""

    of: Mapping[str, Act] = field(default_factory=dict)


NOTHING: Final = Acts()


class Fresh:
    """The acts of each user, in memory; acts are replaced and never changed, so that readers need no lock.

    `panel` holds the newest pairs of user and movie, in the order they came; `n_acts` is how many there are of all.
    """

    def __init__(self) -> None:
        self._acts: dict[str, Acts] = {}
        self.n_acts = 0
        self.panel: deque[tuple[str, str]] = deque(maxlen=PANEL)

    def of(self, user_id: str) -> Acts:
        """Return what a user did."""
        return self._acts.get(user_id, NOTHING)

    def liked(self, least: float) -> list[tuple[str, str]]:
        """Return the pairs of the panel that were not rated below `least`."""
        acts = ((pair, self.of(pair[0]).of[pair[1]].rating) for pair in list(self.panel))
        return [pair for pair, rating in acts if rating is None or rating >= least]

    def take(self, rows: Rows) -> int:
        """Take in rows of `KINDS` with `COLUMNS`, in any order, and return how many they are.

        One that comes again changes nothing. Of several ratings of a movie the latest counts, by time and then by
        topic, partition and offset, and a rating outweighs having watched.
        """
        n_rows = 0
        changed: dict[str, dict[str, Act]] = {}
        new: list[tuple[str, str]] = []
        for user_id, movie_id, act in _acts(rows):
            n_rows += 1
            acts = changed.get(user_id) or changed.setdefault(user_id, dict(self.of(user_id).of))
            before = acts.get(movie_id)
            if before is None:
                new.append((user_id, movie_id))
            if before is None or act[1:] > before[1:]:
                acts[movie_id] = act
        self._acts.update({user_id: Acts(acts) for user_id, acts in changed.items()})
        self.panel.extend(new)
        self.n_acts += len(new)
        return n_rows


def _acts(rows: Rows) -> Iterator[tuple[str, str, Act]]:
    columns = (rows[name] for name in COLUMNS)
    for kind, user_id, movie_id, rating, topic, partition, offset, time in zip(*columns, strict=True):
        act = WATCHED if kind == "watch" else Act(rating, time, (sys.intern(topic), partition, offset))
        yield user_id, movie_id, act

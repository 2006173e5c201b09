"""What users did since a matrix was built: the lake's rows after its version, as they come in."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from shared.history import PANEL

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS: Final = ("kind", "user_id", "movie_id", "rating", "time")
_KINDS: Final = {"watch", "rating"}
NEVER: Final = -(2**63)
"""Before any time."""


class Act(NamedTuple):
    """A movie was watched; `rating` is the latest, given at `rated_at` (microseconds since 1970), None without one."""

    rating: float | None
    rated_at: int


@dataclass(frozen=True, eq=False)
class Acts:
    """What one user did, by movie. It never changes, and equals nothing but itself."""

    of: Mapping[str, Act] = field(default_factory=dict)


NOTHING: Final = Acts()


class Fresh:
    """The acts of each user, in memory; acts are replaced and never changed, so that readers need no lock.

    `panel` holds the newest pairs of user and movie, in the order they came.
    """

    def __init__(self) -> None:
        self._acts: dict[str, Acts] = {}
        self.panel: deque[tuple[str, str]] = deque(maxlen=PANEL)

    def of(self, user_id: str) -> Acts:
        """Return what a user did."""
        return self._acts.get(user_id, NOTHING)

    def liked(self, least: float) -> list[tuple[str, str]]:
        """Return the pairs of the panel that were not rated below `least`."""
        acts = ((pair, self.of(pair[0]).of[pair[1]].rating) for pair in list(self.panel))
        return [pair for pair, rating in acts if rating is None or rating >= least]

    def take(self, batch: "pa.RecordBatch") -> None:
        """Take in rows with `COLUMNS`, in any order, all kinds; one that comes again changes nothing.

        Of several ratings of a movie the latest counts, and a rating outweighs having watched.
        """
        changed: dict[str, dict[str, Act]] = {}
        new: list[tuple[str, str]] = []
        for user_id, movie_id, rating, time in _acts(batch):
            acts = changed.get(user_id) or changed.setdefault(user_id, dict(self.of(user_id).of))
            before = acts.get(movie_id)
            if before is None:
                new.append((user_id, movie_id))
            if rating is not None and (before is None or time >= before.rated_at):
                acts[movie_id] = Act(rating, time)
            elif before is None:
                acts[movie_id] = Act(None, NEVER)
        self._acts.update({user_id: Acts(acts) for user_id, acts in changed.items()})
        self.panel.extend(new)


def _acts(batch: "pa.RecordBatch") -> Iterator[tuple[str, str, float | None, int]]:
    kinds, *columns = (batch[name].to_pylist() for name in COLUMNS[:-1])
    times = batch["time"].cast("int64").to_pylist()
    for kind, user_id, movie_id, rating, time in zip(kinds, *columns, times, strict=True):
        if kind in _KINDS:
            yield user_id, movie_id, rating, time

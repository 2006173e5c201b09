"""What happens on a site, as rows of the lake: who was served, what the site logged, and what users did."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from functions.evaluate_online import core, gather, site
from functions.evaluate_online.behaviour import Behaviour
from functions.evaluate_online.lists import Acts, Lists
from shared.records import to_table
from shared.rows import Row
from tests import fakes

NOW = round(fakes.NOW.timestamp() * 1e6)
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = NOW - 5 * HOUR


@dataclass
class Site:
    """A log that is written row after row; times are microseconds after `START`, by our clock.

    The site's clock is `ahead`. What is taken in at once is taken in at `taken`, when it happens if None.
    """

    ahead: int = 0
    taken: int | None = None
    rows: list[Row] = field(default_factory=list)
    written: "Counter[str]" = field(default_factory=Counter)

    def serve(
        self, user: int, movies: str, at: int, arm: str = "svd:stable", *, logged: bool = True, **facts: Any
    ) -> None:
        """A list is served, and the site logs it a few milliseconds later, if it comes."""
        model = {"revision": arm.replace(":", "-"), "model": "svd@m", "rung": "personal"}
        given = {"latency_ms": 5.0, "movies": movies.split(), "request_id": "r", "arm": arm} | model | facts
        self._write("served", "marquee.recommendation.served", START + at, user, **given)
        if logged:
            self.log(user, movies, at + 7_000)

    def log(self, user: int, movies: str, at: int, status: int = 200) -> None:
        """The site logs a request."""
        self._logged("request", user, at, movies=movies.split(), status=status, server="s", latency_ms=7.0)

    def watch(self, user: int, movie: str, at: int, minute: int = 0) -> None:
        """A minute of a movie is watched."""
        self._logged("watch", user, at, movie_id=movie, minute=minute)

    def rate(self, user: int, movie: str, rating: float, at: int) -> None:
        """A movie is rated."""
        self._logged("rating", user, at, movie_id=movie, rating=rating)

    def alive(self, at: int) -> None:
        """Users of no arm that matters are served and watch at a moment, so that all before it is known to be in."""
        for user in range(901, 921):
            self.serve(user, "elsewhere", at - MINUTE, "none:stable")
            self.watch(user, "elsewhere", at)

    def _logged(self, kind: Any, user: int, at: int, **facts: Any) -> None:
        self._write(kind, "movielog", START + at + self.ahead, user, **facts)

    def _write(self, kind: Any, topic: str, time: int, user: int, **facts: Any) -> None:
        at = self.taken if self.taken is not None else NOW
        self.rows.append(Row(kind, topic, 0, self.written[topic], at, time, str(user), **facts))
        self.written[topic] += 1

    def lists(self, ids: gather.Ids | None = None) -> Lists:
        """Return the lists served."""
        return gather.served(batches(self.rows, "served", gather.LIST_COLUMNS), ids or gather.Ids(), 0)


def batches(rows: list[Row], kind: str, columns: tuple[str, ...], size: int = 1000) -> list[pa.RecordBatch]:
    """Return rows of a kind as the lake yields them."""
    return to_table(row for row in rows if row.kind == kind).select(list(columns)).to_batches(size)


def behaviour(rows: list[Row], size: int = 1000) -> Behaviour:
    """Return what rows say that happened."""
    ids = gather.Ids()
    lists = gather.served(batches(rows, "served", gather.LIST_COLUMNS, size), ids, START)
    requests = gather.requests(batches(rows, "request", gather.REQUEST_COLUMNS, size), ids)
    watches = acts(rows, ids, "watch", gather.WATCH_COLUMNS, "minute", size)
    ratings = acts(rows, ids, "rating", gather.RATING_COLUMNS, "rating", size)
    return Behaviour(ids, lists, requests, watches, core.latest(ratings), site.watermark(watches))


def acts(rows: list[Row], ids: gather.Ids, kind: str, columns: tuple[str, ...], value: str, size: int) -> Acts:
    """Return what was done by the users known."""
    return gather.acts(batches(rows, kind, columns, size), ids, value, 0, NOW + DAY, 0)

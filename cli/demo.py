"""The main job, end to end, on real parts: log lines in, recommendations out, and a summary to read."""

import asyncio
import json
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from kafka import KafkaProducer
from rich.progress import Progress, TaskID

from cli import site, summary
from cli.console import errors, out, progress
from cli.ratings import read_ratings, read_titles
from cli.replay import replay
from cli.stream_commands import store_titles
from functions.rollout.core import revision
from infra.local.machine import ROOT, Machine
from infra.local.stack import Stack, running
from shared import bootstrap, keys
from shared.adapters.envoy import EnvoyTraffic
from shared.adapters.kafka_connection import connection
from shared.adapters.web import web
from shared.errors import NotReady
from shared.events import ALGORITHMS, MOVIELOG

DATA: Final = ROOT / "data/movielens-small"
FIRST_SHARE: Final = 0.9
REQUESTS_PER_SECOND: Final = 50
ASK_SECONDS: Final = 15
UNKNOWN_USERS: Final = [str(number) for number in range(900_001, 900_101)]
SEED: Final = 7

PATIENCE_SECONDS: Final = 180


def run(n_ratings: int) -> None:
    """Run the demo in a folder of its own, and leave nothing behind."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="marquee-demo-") as folder:
        machine = Machine(Path(folder), Machine.from_env().port_offset)
        demo = Demo.of(machine, n_ratings)
        with errors.status("starting Kafka, SeaweedFS, Envoy and the functions") as spinner:
            stack = Stack(machine, {"MIN_NEW_RATINGS": str(len(demo.first))})
            context = running(stack, on_step=spinner.update)
            context.__enter__()
        try:
            demo.play()
        finally:
            with errors.status("stopping"):
                context.__exit__(None, None, None)
    out.print(f"All of it took {time.monotonic() - started:.0f} seconds, and nothing is left running.", highlight=False)


@dataclass
class Demo:
    """The ratings in two parts, older and newer, and the machine they stream through."""

    machine: Machine
    first: pa.Table
    rest: pa.Table

    @classmethod
    def of(cls, machine: Machine, n_ratings: int) -> "Demo":
        """Read the oldest ratings of the sample and split them in time."""
        ratings = read_ratings(DATA / "ratings.csv.gz").slice(0, n_ratings)
        n_first = int(len(ratings) * FIRST_SHARE)
        return cls(machine, ratings.slice(0, n_first), ratings.slice(n_first))

    def play(self) -> None:
        """Stream, train, ask, and sum up."""
        environment = self.machine.environment
        deps = bootstrap.build("demo", environment, writes=False)
        titles = read_titles(DATA / "movies.csv.gz")
        store_titles(deps.objects, titles)
        with progress() as bars:
            self._stream(bars, deps)
            models = self._train(bars, deps)
            asked = self._ask(bars, deps)
            self._settle(bars, deps)
        summary.show(out, deps, asked, models, self._example(), titles)
        deps.publisher.close()

    def _stream(self, bars: Progress, deps: bootstrap.Deps) -> None:
        lines = list(site.log_lines(self.first))
        sending = bars.add_task("log lines into Kafka", total=len(lines))
        folding = bars.add_task("rows in the lake", total=len(lines))
        replay(lines, deps.settings, MOVIELOG, on_sent=lambda n: bars.update(sending, completed=n))
        _wait_for_rows(bars, folding, deps, len(lines), "rows in the lake")

    def _train(self, bars: Progress, deps: bootstrap.Deps) -> list[dict[str, Any]]:
        training = bars.add_task("models trained and evaluated", total=len(ALGORITHMS))
        reports: dict[str, dict[str, Any]] = {}

        def look() -> None:
            for key in deps.objects.keys("reports/"):
                if key.endswith("report.json") and key not in reports:
                    reports[key] = json.loads(deps.objects.get(key).data)
            bars.update(training, completed=len(reports))

        wait(lambda: len(reports) == len(ALGORITHMS), "two evaluated models", look)
        live = [
            (service, revision(service, report["model_version"]))
            for report in reports.values()
            if report["accepted"] and (service := keys.score_service(report["algorithm"]))
        ]
        serving = bars.add_task("models rolled out to their users", total=len(live))

        def n_live() -> int:
            return sum(self._has_all_users(*each) for each in live)

        wait(lambda: n_live() == len(live), "live models", lambda: _moved(bars, serving, n_live()))
        bars.update(serving, completed=len(live))
        return sorted(reports.values(), key=lambda report: report["algorithm"])

    def _has_all_users(self, service: str, name: str) -> bool:
        """Say whether the router sends all requests of a service to a revision."""
        targets = EnvoyTraffic(web(), self.machine.url("envoy-admin")).targets(service)
        return any((each.revision, each.percent) == (name, 100) for each in targets)

    def _ask(self, bars: Progress, deps: bootstrap.Deps) -> site.Asked:
        known = pc.unique(self.first["user_id"]).to_pylist()
        users = known + UNKNOWN_USERS
        lines = list(site.log_lines(self.rest, len(self.first)))
        asking = bars.add_task("recommendations asked for", total=REQUESTS_PER_SECOND * ASK_SECONDS)
        streaming = bars.add_task("newer log lines into Kafka", total=len(lines))
        sender = threading.Thread(
            target=partial(replay, lines, deps.settings, MOVIELOG, len(lines) / ASK_SECONDS),
            kwargs={"on_sent": lambda n: bars.update(streaming, completed=n)},
        )
        sender.start()
        producer = KafkaProducer(**connection(deps.settings), acks="all", linger_ms=20)
        url = self.machine.url("recommend")
        advance = partial(bars.advance, asking)
        asked = asyncio.run(site.ask(url, users, REQUESTS_PER_SECOND, ASK_SECONDS, producer, SEED, advance))
        producer.flush(30)
        producer.close()
        sender.join()
        return asked

    def _settle(self, bars: Progress, deps: bootstrap.Deps) -> None:
        """Wait until the lake has all that was sent and served."""
        sent = len(list(site.log_lines(self.first))) + len(list(site.log_lines(self.rest, len(self.first))))
        expected = sent + 2 * REQUESTS_PER_SECOND * ASK_SECONDS
        settling = bars.add_task("rows in the lake", total=expected)
        _wait_for_rows(bars, settling, deps, expected, "all rows")

    def _example(self) -> summary.Example:
        """Return a user of average activity among the older half, whom the models know, with what the user likes."""
        older = self.first.slice(0, len(self.first) // 2)
        counts = older.group_by("user_id").aggregate([("movie_id", "count")]).sort_by("movie_id_count")
        user = counts["user_id"].to_pylist()[len(counts) // 2]
        mine = self.first.filter(pc.equal(self.first["user_id"], user)).sort_by([("rating", "descending")])
        likes = mine["movie_id"].to_pylist()[:10]
        return summary.Example(user, likes, summary.recommended(self.machine.url("recommend"), user))


def _moved(bars: Progress, task: TaskID, completed: int) -> int:
    bars.update(task, completed=completed)
    return completed


def wait(
    done: Callable[[], bool],
    what: str,
    step: Callable[[], object] = lambda: None,
    patience_seconds: float = PATIENCE_SECONDS,
) -> None:
    """Return once done. What `step` returns is how far it is: as long as that changes, nobody loses patience.

    Raises: NotReady saying what did not come.
    """
    began, seen = time.monotonic(), step()
    while not done():
        if time.monotonic() - began > patience_seconds:
            raise NotReady(f"waited {patience_seconds:g} s for {what}; is this machine too busy with other work?")
        time.sleep(1)
        before, seen = seen, step()
        if seen != before:
            began = time.monotonic()


def _wait_for_rows(bars: Progress, task: TaskID, deps: bootstrap.Deps, n: int, what: str) -> None:
    wait(lambda: rows(deps, n) == n, what, lambda: _moved(bars, task, rows(deps, n)))
    bars.update(task, completed=n)


def rows(deps: bootstrap.Deps, most: int) -> int:
    """Return how many rows the lake has, `most` if more: its log counts a record twice that was delivered twice."""
    return min(sum(deps.lake.counts().values()), most)

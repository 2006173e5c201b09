"""Bulk from real Kafka into a lake on real S3."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from cli import backfill
from infra.local.machine import ROOT
from infra.local.provision import create_bucket
from shared import bootstrap
from shared.adapters.lake import DeltaLake
from shared.events import MOVIELOG
from shared.settings import Settings
from tests.integration.conftest import PORT_OFFSET, Marquee

N, COMMIT_ROWS = 3_000, 300


class Died(BaseException):
    """Stands for the end of the process."""


class Dying:
    """Hears of progress, and dies at the fourth word of it."""

    def __init__(self) -> None:
        self.left = 3

    def put(self, _: object) -> None:
        self.left -= 1
        if self.left < 0:
            raise Died


def lake_of(environment: dict[str, str]) -> DeltaLake:
    return bootstrap.lake(Settings.from_env(environment), environment)


@pytest.fixture
def own_lake(marquee: Marquee) -> dict[str, str]:
    """A lake that nobody else writes to, and a topic with something in it."""
    environment = marquee.environment | {"BUCKET": "backfill"}
    create_bucket(environment)
    marquee.send(f"2026-11-20T10:00:00,{n % 97 + 1},GET /rate/fill{n}=4".encode() for n in range(N))
    return environment


def test_a_backfill_that_dies_goes_on_where_the_lake_ends(
    marquee: Marquee, own_lake: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each partition's reader dies after some commits; the next run adds the rest, and every offset is stored once."""
    whole_read = backfill.read

    def read_in_small_batches(*arguments: Any) -> Iterator[tuple[int, list[Any]]]:
        for _, records in whole_read(*arguments):
            for start in range(0, len(records), 100):
                batch = records[start : start + 100]
                yield batch[-1].offset + 1, batch

    monkeypatch.setattr(backfill, "read", read_in_small_batches)
    monkeypatch.setattr(backfill, "_COMMIT_ROWS", COMMIT_ROWS)
    total = sum(marquee.ends().values())
    for span in backfill.plan(MOVIELOG, own_lake):
        with suppress(Died):
            backfill.fill(MOVIELOG, span, own_lake, Dying())  # type: ignore[arg-type]
    assert 0 < sum(lake_of(own_lake).counts().values()) < total

    command = [sys.executable, "-m", "cli.main", "backfill"]
    machine = {"MARQUEE_HOME": str(marquee.stack.machine.home), "MARQUEE_PORT_OFFSET": str(PORT_OFFSET)}
    for words in ("records were read into the lake", "Nothing new"):
        done = subprocess.run(command, cwd=ROOT, env=own_lake | machine, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert words in done.stdout
    assert sum(lake_of(own_lake).counts().values()) == total
    fills = [
        movie for movie in lake_of(own_lake).read("rating", ["movie_id"])["movie_id"].to_pylist() if "fill" in movie
    ]
    assert sorted(fills) == sorted(f"fill{n}" for n in range(N))

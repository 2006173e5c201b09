"""One user erased from a real bucket while everything runs, and the command is killed at every step."""

import itertools
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import AbstractContextManager
from typing import Any

import pytest

from cli import backfill
from functions.train import core as training
from infra.local.machine import ROOT
from shared import keys
from shared.events import MOVIELOG
from tests.integration.conftest import Marquee, again_and_again, wait
from tests.integration.test_withstands import rating_lines
from tests.ratings import checkerboard, matrix_of

pytestmark = pytest.mark.slow

FIRST = 77_770_000
USER, OTHER = str(FIRST + 3), str(FIRST + 1)
RATINGS = [(str(FIRST + int(user)), movie, rating, time) for user, movie, rating, time in checkerboard(6)]
SPLIT, FILES = matrix_of(RATINGS, 1 / 36)
FAILPOINTS = [
    *(f"forget.{place}" for place in ("listed", "landing", "lake_file", "lake")),
    *(f"rewrite.{place}" for place in ("before_manifest", "before_in_place", "in_place")),
    *(f"forget.{place}" for place in ("models", "matrices", "told")),
]


def lines_of(user: str) -> list[bytes]:
    """Return 60 lines of a user, of every kind, some of them bad."""
    made = [
        line
        for n in range(10)
        for line in (
            f"2026-11-20T10:00:{n:02d},{user},GET /rate/forget{n}=4",
            f"2026-11-20T10:01:{n:02d},{user},GET /data/m/forget{n}/1.mpg",
            f"2026-11-20T10:02:{n:02d},{user},recommendation request s, status 200, result: a, b, 9 ms",
            f"2026-11-20T10:03:{n:02d},{user},GET /create_account",
            f"2026-11-20T10:04:{n:02d},{user},GET /rate/forget{n}=99",
            f"2026-11-20T10:05:{n:02d},{user},GET /elsewhere",
        )
    ]
    return [line.encode() for line in made]


def rows(marquee: Marquee, user: str) -> int:
    """Return how many rows of all kinds a user has in the lake."""
    kinds = ("watch", "rating", "request", "account", "served")
    known = [marquee.lake.read(kind, ["user_id"])["user_id"].to_pylist().count(user) for kind in kinds]
    raws = marquee.lake.read("quarantine", ["raw"])["raw"].to_pylist()
    return sum(known) + sum(f",{user},".encode() in raw for raw in raws)


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def listed(url: str) -> list[str]:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return list(json.load(answer)["movies"])


def forget(marquee: Marquee) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "cli.main", "forget", USER, "--yes", "--json"]
    environment = os.environ | marquee.environment
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.long
def test_a_user_is_erased_everywhere_while_everything_goes_on(marquee: Marquee) -> None:
    """Every kill is survived, the report is clean, servers do not know the user and go on for others, and neither a
    second sending of the lines nor reading all of Kafka again brings anything back.
    """
    score = marquee.stack.machine.url("score-svd-1")
    marquee.send([*lines_of(USER), *lines_of(OTHER)])
    wait(lambda: (rows(marquee, USER), rows(marquee, OTHER)) == (60, 60), 90, "120 rows")
    store(marquee)
    wait(lambda: status(f"{score}/top/{USER}") == 200, 30, "the model")
    before = listed(f"{score}/top/{OTHER}")

    with marquee.asking(), streaming(marquee):
        for place in FAILPOINTS:
            (marquee.failpoints / place).touch()
            killed = forget(marquee)
            assert killed.returncode == -signal.SIGKILL, f"{place}: {killed.stderr}"
        done = forget(marquee)
        assert done.returncode == 0, done.stdout + done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        assert report["left"] == {}
        wait(lambda: status(f"{score}/top/{USER}") == 404, 20, "a server that has forgotten")
        assert listed(f"{score}/top/{OTHER}") == before
        marquee.send([f"2026-11-20T11:00:00,{OTHER},GET /data/m/{before[0]}/1.mpg".encode()])
        wait(lambda: before[0] not in listed(f"{score}/top/{OTHER}"), 30, "a server that follows the lake")

        marquee.send([*lines_of(USER), *lines_of(OTHER)])
        wait(lambda: rows(marquee, OTHER) == 121, 90, "60 more rows of the other")
        environment = marquee.environment
        backfill.backfill(MOVIELOG, backfill.plan(MOVIELOG, environment), environment, lambda *_: None)
    assert (rows(marquee, USER), rows(marquee, OTHER)) == (0, 121)
    for version in (1, marquee.lake.version() // 2):
        assert USER not in marquee.lake.read("rating", ["user_id"], version)["user_id"].to_pylist()
    again = json.loads(forget(marquee).stdout)
    assert (again["is_new"], again["erased"], again["left"]) == (False, {}, {})


def store(marquee: Marquee) -> None:
    """Have a model of both users served."""
    deps, matrix = marquee.deps, keys.matrix(SPLIT.matrix_id)
    model = training.fit(SPLIT.train, "svd", training.Parameters(4, 20, 0.02, 0.01), seed=1)
    story = deps.manifest(kind="matrix", id=SPLIT.matrix_id, lake_version=marquee.lake.version())
    deps.artifacts.put(matrix, FILES, story)
    deps.artifacts.put(
        keys.model("svd", "forget1"), model.to_files(), deps.manifest(kind="model", id="forget1", made_from=matrix)
    )
    deps.channels.update("score-svd", lambda _: {"model_version": "forget1", "matrix_id": SPLIT.matrix_id})


def streaming(marquee: Marquee) -> AbstractContextManager[None]:
    """Have others rate all the while."""
    numbers = itertools.count(1)
    return again_and_again(lambda: marquee.send(rating_lines(20, f"meanwhile{next(numbers)}x")), 0.5)

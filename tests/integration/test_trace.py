"""From a log line of the site to the whole story, after a real release on a real machine; and the model made again."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from cli import site
from cli.ratings import read_ratings
from cli.replay import replay
from infra.images.facts import read
from infra.local.machine import ROOT, Machine
from infra.local.stack import Stack, running
from shared import bootstrap, keys, rollout
from shared.events import ALGORITHMS, MOVIELOG
from shared.rollout import State
from tests.integration.conftest import wait

pytestmark = pytest.mark.slow

PORT_OFFSET = 7_500
N_RATINGS = 3_000
USER = "15"
QUICK = {"n_factors": 8, "n_epochs": 5, "lr": 0.02, "reg": 0.05}


@dataclass(frozen=True)
class Released:
    """A machine on which models were released, and a line that the site logged of an answer by one of them."""

    stack: Stack
    deps: bootstrap.Deps
    line: str

    def marquee(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        machine = self.stack.machine
        told = {"MARQUEE_HOME": str(machine.home), "MARQUEE_PORT_OFFSET": str(machine.port_offset), "COLUMNS": "200"}
        command = [sys.executable, "-m", "cli.main", *arguments]
        return subprocess.run(command, cwd=ROOT, env=os.environ | told, capture_output=True, text=True, timeout=300)

    def story(self) -> dict[str, Any]:
        done = self.marquee("trace", self.line, "--json")
        (story,) = json.loads(done.stdout)["stories"]
        assert done.returncode == (0 if story["whole"] else 1), done.stderr
        return story | {"by_name": {each["name"]: each for each in story["things"]}}

    @contextmanager
    def instead(self, key: str, data: bytes) -> Iterator[None]:
        """Let other bytes stand under a name for the length of a block."""
        before = self.deps.objects.get(key).data
        self.deps.objects.put(key, data)
        try:
            yield
        finally:
            self.deps.objects.put(key, before)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Released]:
    folder = tmp_path_factory.mktemp("trace")
    params = folder / "params.json"  # which is YAML too
    params.write_text(json.dumps(dict.fromkeys(ALGORITHMS, QUICK)))
    extra = {"MIN_NEW_RATINGS": str(N_RATINGS), "TRAIN_THREADS": "1", "PARAMS_FILE": str(params), "RMSE_MARGIN": "9"}
    with running(Stack(Machine(folder / "home", PORT_OFFSET), extra)) as stack:
        deps = bootstrap.build("test", stack.environment, writes=False)
        ratings = read_ratings(ROOT / "data/movielens-small/ratings.csv.gz").slice(0, N_RATINGS)
        replay(site.log_lines(ratings, with_bad_lines=False), deps.settings, MOVIELOG)
        wait(lambda: all(state(deps, each).stable for each in ALGORITHMS), 120, "two live models")
        yield Released(stack, deps, asked(stack, deps, list(islice(dict.fromkeys(ratings["user_id"].to_pylist()), 40))))


def state(deps: bootstrap.Deps, algorithm: str) -> State:
    service = keys.score_service(algorithm)
    return rollout.read(service, deps.channels.get(service))


def asked(stack: Stack, deps: bootstrap.Deps, users: list[str]) -> str:
    """Ask until a model answers, log it as the site does, and return the line once the list is in the lake."""
    deadline = time.monotonic() + 60
    while True:
        for user in users:
            with urllib.request.urlopen(f"{stack.machine.url('recommend')}/recommend/{user}", timeout=10) as answer:
                headers = {name.lower(): value for name, value in answer.headers.items()}
                found = site.Answer(answer.status, answer.read().decode().strip(), headers, 5.0)
            if found.headers[site.RUNG] == "personal":
                line = site.request_line(datetime.now(UTC), user, found)
                replay([line], deps.settings, MOVIELOG)
                known = {"request_id": found.headers["x-request-id"]}
                wait(lambda known=known: bool(deps.lake.find("served", ["offset"], known)), 30, "served row")  # type: ignore[misc]
                return line.decode()
        assert time.monotonic() < deadline, found
        time.sleep(0.3)


def test_a_log_line_tells_the_whole_story(released: Released) -> None:
    """Model, matrix, lake, offsets, code, libraries, measures, and who put it live; every byte checked, and signed."""
    story = released.story()
    assert story["whole"]
    algorithm, _, version = story["things"][0]["facts"]["model"].partition("@")
    model = story["by_name"][keys.model(algorithm, version)]
    assert model["facts"]["signed"] == f"as models/{algorithm}/{version}"
    assert model["facts"]["parameters"]["n_factors"] == QUICK["n_factors"]
    assert read(ROOT).commit in story["by_name"]
    origins = {(each["of"], each["how"]): each["origin"] for each in story["links"]}
    matrix = story["by_name"][origins[model["name"], "made from"]]
    assert matrix["facts"]["metrics"]["n_ratings"] == N_RATINGS
    lake = story["by_name"][origins[matrix["name"], "read from"]]
    assert lake["condition"] == "whole"
    spans = story["by_name"][origins[matrix["name"], "holds"]]["facts"]
    assert set(spans) <= {f"{MOVIELOG}-{number}" for number in range(4)}
    change = story["by_name"][origins[story["things"][0]["name"], "given users by"]]
    assert (change["facts"]["what"], change["facts"]["who"]) == ("promoted", "rollout")
    assert story["by_name"][f"reports/{algorithm}/{version}"]["facts"]["accepted"] is True


def test_people_get_text_and_a_picture(released: Released, tmp_path: Path) -> None:
    """Of the same."""
    done = released.marquee("trace", released.line, "--graph", str(tmp_path / "story.svg"))
    assert done.returncode == 0, done.stderr
    assert "answered by ✓ model models/" in done.stdout
    assert (tmp_path / "story.svg").read_text().count("matrices/") >= 1


def test_what_was_tampered_with_is_named(released: Released) -> None:
    """Bytes, or a manifest that fits them and nobody signed."""
    name = released.story()["things"][0]["facts"]["model"]
    place = keys.model(*name.split("@"))
    factors = released.deps.objects.get(f"{place}/factors.npz").data
    with released.instead(f"{place}/factors.npz", factors[:-1] + b"?"):
        (wrong,) = (each for each in released.story()["things"] if each["condition"] == "wrong")
        assert wrong["name"] == place
        assert "not the bytes" in wrong["why"][0]
    manifest = released.deps.artifacts.manifest(place).model_copy(update={"git_commit": "f" * 40})
    with released.instead(f"{place}/manifest.json", manifest.model_dump_json().encode()):
        (wrong,) = (each for each in released.story()["things"] if each["condition"] == "wrong")
        assert "none of the keys" in wrong["why"][0]
    assert released.story()["whole"]


def test_a_model_that_nobody_signed_is_not_served(released: Released) -> None:
    """A copy of a good one under a newer name: `score` says what it is, and goes on."""
    story = released.story()
    algorithm, _, version = story["things"][0]["facts"]["model"].partition("@")
    for name in ("factors.npz", "manifest.json"):
        data = released.deps.objects.get(f"{keys.model(algorithm, version)}/{name}").data
        released.deps.objects.put(f"{keys.model(algorithm, 'newer')}/{name}", data)
    code = (
        "import os; from functions.score.served import Score; from shared import bootstrap;"
        "Score(bootstrap.build('score', writes=False)).fetch(None)"
    )
    told = released.stack.environment | {"ALGORITHM": algorithm, "MODEL_VERSION": "newer"}
    done = subprocess.run([sys.executable, "-c", code], env=told, capture_output=True, text=True, timeout=60)
    assert f"it is models/{algorithm}/{version}, under another name" in done.stderr


def test_the_model_is_made_again_byte_by_byte(released: Released) -> None:
    """By a checkout of its commit, from the lake at its version."""
    model = released.story()["things"][0]["facts"]["model"]
    done = released.marquee("reproduce", model, "--json")
    told = json.loads(done.stdout or "{}")
    assert done.returncode == 0, done.stderr + done.stdout
    assert told["equal"] is True
    assert set(told["matrix"]) == {"train.npz", "validation.npz", "vocabulary.parquet", "history.npz"}
    assert told["model"] == {"factors.npz": []}

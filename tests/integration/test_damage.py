"""Damaged models and matrices on a real store, before a real score process."""

import json
import random
import urllib.request

import pytest

from functions.train import core as training
from shared import keys
from shared.history import HISTORY
from shared.model import FACTORS
from tests.integration.conftest import Marquee, wait
from tests.ratings import checkerboard, matrix_of

pytestmark = pytest.mark.slow

SPLIT, FILES = matrix_of(checkerboard(6), 1 / 36)
MODEL = training.fit(SPLIT.train, "svd", training.Parameters(4, 20, 0.02, 0.01), seed=1)
DAMAGES = 200


def refused(url: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    counts = [float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("marquee_model_refused_total{")]
    return counts[0] if counts else 0.0


def answering(url: str) -> str:
    with urllib.request.urlopen(f"{url}/top/1", timeout=5) as answer:
        return str(json.load(answer)["model"])


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Return bytes with one bit flipped, or cut short."""
    where = chance.randrange(len(data))
    if chance.random() < 0.3:
        return data[:where]
    return data[:where] + bytes([data[where] ^ 1 << chance.randrange(8)]) + data[where + 1 :]


def test_no_damage_gets_past_and_the_old_model_keeps_serving(marquee: Marquee) -> None:
    """200 random bit flips and truncations of model and matrix files: each refused, v0 answers all the while."""
    deps, chance = marquee.deps, random.Random(11)
    url = marquee.stack.machine.url("score-svd-1")
    matrix = deps.manifest(kind="matrix", id=SPLIT.matrix_id, lake_version=0)
    deps.artifacts.put(keys.matrix(SPLIT.matrix_id), FILES, matrix)

    def serve(version: str, matrix_id: str) -> None:
        deps.channels.update("score-svd", lambda _: {"model_version": version, "matrix_id": matrix_id})

    def store(version: str, matrix_id: str) -> None:
        manifest = deps.manifest(kind="model", id=version, made_from=keys.matrix(matrix_id))
        deps.artifacts.put(keys.model("svd", version), MODEL.to_files(), manifest)

    store("v0", SPLIT.matrix_id)
    serve("v0", SPLIT.matrix_id)
    wait(lambda: ready(url), 20, "first model")
    with marquee.asking():
        for number in range(1, DAMAGES + 1):
            version, matrix_id, before = f"v{number}", f"m{number}", refused(url)
            deps.artifacts.put(
                keys.matrix(matrix_id), FILES, deps.manifest(kind="matrix", id=matrix_id, lake_version=0)
            )
            store(version, matrix_id)
            key = chance.choice([f"{keys.model('svd', version)}/{FACTORS}", f"{keys.matrix(matrix_id)}/{HISTORY}"])
            deps.objects.put(key, damaged(deps.objects.get(key).data, chance))
            serve(version, matrix_id)
            wait(lambda before=before: refused(url) > before, 10, f"refusal of {key}")  # type: ignore[misc]
            assert answering(url) == "svd@v0"
    store("last", SPLIT.matrix_id)
    serve("last", SPLIT.matrix_id)
    wait(lambda: answering(url) == "svd@last", 10, "good model after all the bad ones")


def ready(url: str) -> bool:
    try:
        return answering(url) == "svd@v0"
    except OSError:
        return False

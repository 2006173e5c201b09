import dataclasses
import json

import numpy as np
import pytest

from functions.evaluate_offline.main import handle
from functions.train import core as training
from shared import keys
from shared.errors import BadEvent
from shared.events import ModelTrained
from tests import fakes
from tests.ratings import checkerboard, split_of

SPLIT = split_of(checkerboard(6), 0.2)
GOOD = training.fit(SPLIT.train, "svd", training.Parameters(4, 300, 0.02, 0.01), seed=1)
BAD = dataclasses.replace(GOOD, user_bias=-4 * np.ones_like(GOOD.user_bias))


@pytest.fixture
def deps(tmp_path):
    deps = fakes.deps(tmp_path)
    manifest = deps.manifest(kind="matrix", id=SPLIT.matrix_id, lake_version=3)
    deps.artifacts.put(keys.matrix(SPLIT.matrix_id), SPLIT.to_files(), manifest)
    return deps


def store(deps, version, model, lake_version=3, matrix_id=SPLIT.matrix_id):
    facts = {"made_from": keys.matrix(matrix_id), "metrics": {"fit_seconds": 1.0}, "lake_version": lake_version}
    deps.artifacts.put(keys.model("svd", version), model.to_files(), deps.manifest(kind="model", id=version, **facts))
    return ModelTrained("svd", version, matrix_id)


def serve(deps, version):
    """Let a model stand, as a rollout does."""
    deps.channels.update("score-svd", lambda _: {"model_version": version})


def test_a_good_model_is_accepted(deps):
    """The report is stored, and the event says so; who serves it is not decided here."""
    handle(store(deps, "good", GOOD), deps)
    (event,) = deps.publisher.events
    assert (event.accepted, event.model_version) == (True, "good")
    assert deps.channels.get("score-svd") == {}
    assert deps.artifacts.manifest(keys.report("svd", "good")).metrics["accepted"] is True


def test_a_bad_model_is_rejected(deps):
    """The reason is in the event, the bar in the report."""
    handle(store(deps, "good", GOOD), deps)
    serve(deps, "good")
    handle(store(deps, "bad", BAD, lake_version=4), deps)
    assert deps.publisher.events[1].accepted is False
    assert "no better than predicting the mean" in deps.publisher.events[1].reason
    report = json.loads(deps.artifacts.get_file(keys.report("svd", "bad"), "report.json"))
    assert report["standing"]["model_version"] == "good"
    assert report["standing"]["rmse"] < report["rmse"]


@pytest.mark.parametrize(
    "damage", [b"[" * 100_000, b"xx", b'{"model_version": 5}'], ids=lambda damage: repr(damage[:9])
)
def test_a_damaged_channel_names_no_standing_model(deps, damage):
    """The model is measured without one to compare it with, and the channel is left to whoever owns it."""
    deps.objects.put(keys.channel("score-svd"), damage)
    handle(store(deps, "good", GOOD), deps)
    assert deps.publisher.events[0].accepted is True
    assert deps.objects.get(keys.channel("score-svd")).data == damage


def test_without_validation_ratings_a_model_is_rejected_and_said_so(deps):
    """All ratings of one moment leave nothing to measure on: a report with the reason, not a crash."""
    split = split_of([(user, movie, value, 5) for user, movie, value, _ in checkerboard(4)], 0.2)
    manifest = deps.manifest(kind="matrix", id=split.matrix_id, lake_version=3)
    deps.artifacts.put(keys.matrix(split.matrix_id), split.to_files(), manifest)
    handle(store(deps, "good", GOOD, matrix_id=split.matrix_id), deps)
    (event,) = deps.publisher.events
    assert (event.accepted, event.rmse) == (False, None)
    assert "no validation rating" in event.reason


def test_a_model_is_never_measured_on_a_matrix_it_was_not_made_from(deps):
    """A forged event cannot choose the ratings that a model is judged by."""
    event = dataclasses.replace(store(deps, "good", GOOD), matrix_id="another")
    with pytest.raises(BadEvent, match="not made from"):
        handle(event, deps)
    assert deps.publisher.events == []


def test_a_repeated_event_says_what_the_report_says(deps):
    """Nothing is measured twice, and the verdict of the first time stands."""
    event = store(deps, "good", GOOD)
    handle(event, deps)
    handle(event, deps)
    assert deps.publisher.events[0] == deps.publisher.events[1]


def test_a_standing_model_that_is_damaged_does_not_block_its_successor(deps):
    """What cannot be measured is no bar to beat."""
    handle(store(deps, "first", GOOD), deps)
    serve(deps, "first")
    key = f"{keys.model('svd', 'first')}/factors.npz"
    deps.objects.objects[key] = b"damaged"
    handle(store(deps, "second", GOOD, lake_version=4), deps)
    assert deps.publisher.events[1].accepted is True

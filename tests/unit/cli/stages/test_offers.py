"""Models made by the stages, given to the functions of the loop."""

import json
from dataclasses import replace
from unittest.mock import Mock

import boto3
import pytest
import yaml
from moto import mock_aws

from cli.stages import data, models
from cli.stages.data import Source
from cli.stages.offers import offer
from functions.evaluate_offline import main as evaluate_offline
from functions.rollout import main as rollout
from functions.score import core as score
from functions.train.engine import Parameters
from shared import bootstrap, forgotten, keys
from shared.adapters.s3 import Bucket
from shared.artifacts import ArtifactStore
from shared.errors import BadInput, Conflict, NotReady
from shared.events import ALGORITHMS, ModelEvaluated, ModelTrained
from shared.history import HISTORY
from shared.rollout import Release, read
from shared.signing import Signer
from tests import fakes
from tests.lake import put_ratings
from tests.ratings import checkerboard, table

QUICK = Parameters(n_factors=4, n_epochs=100, lr=0.02, reg=0.02)


@pytest.fixture
def deps(tmp_path, monkeypatch):
    """A bucket with a lake, whom the stages find by their settings."""
    found = fakes.bucket(tmp_path, min_new_ratings="30")
    monkeypatch.setattr(bootstrap, "build", lambda *_, **__: found)
    put_ratings(found.lake, table(checkerboard(6)))
    return found


@pytest.fixture
def made(deps, tmp_path):
    """Return where ratings came from, with a matrix and two models of theirs in folders."""
    source = Source(kind="lake", where="b", lake_version=deps.lake.version())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(dict.fromkeys(ALGORITHMS, QUICK.as_dict())))
    data.fetch(source, tmp_path / "fetched")
    data.matrix(source, tmp_path / "fetched", tmp_path / "matrix", 0.2)
    for algorithm in ALGORITHMS:
        models.train(algorithm, tmp_path / "matrix", tmp_path / "params.yaml", 1, 2, tmp_path / "models" / algorithm)
    return source


def offered(source, folder, deps):
    return list(offer(ALGORITHMS, source, folder / "matrix", folder / "models", "c0ffee", deps))


def test_an_offered_model_goes_the_way_of_every_model(deps, made, tmp_path):
    """It is told of as `train` tells; measured, accepted and told of; and it is one that `score` answers from."""
    assert [line.endswith("is offered") for line in offered(made, tmp_path, deps)] == [True, True]
    trained = list(deps.publisher.events)
    assert [(type(event), event.algorithm) for event in trained] == [(ModelTrained, "svd"), (ModelTrained, "svdpp")]
    for event in trained:
        evaluate_offline.handle(event, deps)
        said = deps.publisher.events[-1]
        assert (type(said), said.accepted) == (ModelEvaluated, True)
        report = deps.artifacts.manifest(keys.report(event.algorithm, event.model_version))
        assert (report.lake_version, report.metrics["accepted"]) == (made.lake_version, True)
        matrix = deps.artifacts.get(keys.matrix(event.matrix_id))
        model = deps.artifacts.get(keys.model(event.algorithm, event.model_version))
        assert (matrix.manifest.git_commit, model.manifest.git_commit) == ("c0ffee", "c0ffee")
        score.load(model, matrix.manifest, matrix.files[HISTORY], event.algorithm, event.model_version)


def test_rollout_gives_an_offered_model_its_trial(deps, made, tmp_path):
    """Beside the model that was live before."""
    before = Release(model_version="before", revision="score-svd-00001", lake_version=0)
    deps.channels.update("score-svd", lambda _: {"stable": before.model_dump(), "lake_version": 0})
    offered(made, tmp_path, deps)
    trained = deps.publisher.events[0]
    evaluate_offline.handle(trained, deps)
    revisions = fakes.MemoryRevisions("score-svd")
    rollout.evaluated(deps.publisher.events[-1], rollout.Rollout(deps, revisions, revisions, Mock()))
    state = read("score-svd", deps.channels.get("score-svd"))
    assert (state.stable, state.canary.release.model_version) == (before, trained.model_version)
    assert (trained.model_version, 0) in {(revisions.models[each.revision], each.percent) for each in revisions.asked}


def test_offered_twice_is_offered_once(deps, made, tmp_path):
    """The second time nothing is stored, and the same is said."""
    offered(made, tmp_path, deps)
    before = {key: deps.objects.get(key).data for key in deps.objects.keys("")}
    offered(made, tmp_path, deps)
    assert {key: deps.objects.get(key).data for key in deps.objects.keys("")} == before
    assert deps.publisher.events[:2] == deps.publisher.events[2:]


def test_whoever_has_a_key_vouches_for_what_is_offered(deps, made, tmp_path):
    """As `train` does: a site that takes signed models takes these."""
    signer = Signer.new()
    offered(made, tmp_path, replace(deps, signer=signer, verifier=signer.verifier))
    trusting = ArtifactStore(deps.objects, verifier=signer.verifier)
    assert all(trusting.get(keys.model(each.algorithm, each.model_version)) for each in deps.publisher.events)


@mock_aws
def test_s3_takes_an_offer(deps, made, tmp_path):
    """Once, and again as what stands there already."""
    s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    s3.create_bucket(Bucket="marquee")
    bucket = Bucket(s3, "marquee")
    for _ in range(2):
        offered(made, tmp_path, replace(deps, objects=bucket))
    for event in deps.publisher.events:
        assert ArtifactStore(bucket).get(keys.model(event.algorithm, event.model_version)).files


def test_who_asked_to_be_forgotten_is_not_offered(deps, made, tmp_path):
    """Not if they asked since the ratings were fetched, nor if they ask in between; nothing is stored then."""
    forgotten.remember(deps.objects, "3")
    with pytest.raises(BadInput, match="asked to be forgotten"):
        offered(made, tmp_path, deps)
    assert deps.objects.keys("matrices/") == deps.objects.keys("models/") == []


def test_who_asks_in_between_ends_the_offer(deps, made, tmp_path, monkeypatch):
    """The list is read once more right before anything is stored."""
    lists = iter([forgotten.Forgotten(), forgotten.Forgotten(b"salt", frozenset({"somebody"}))])
    monkeypatch.setattr(forgotten, "read", lambda _: next(lists))
    with pytest.raises(Conflict, match="forgotten"):
        offered(made, tmp_path, deps)
    assert deps.objects.keys("matrices/") == deps.objects.keys("models/") == []


def test_what_knows_less_than_what_was_accepted_is_left(deps, made, tmp_path):
    """It would get no trial; that is said, and no failure: the loop was faster."""
    deps.channels.update("score-svd", lambda _: {"lake_version": made.lake_version + 1})
    first, second = offered(made, tmp_path, deps)
    assert "is not offered: one of version" in first
    assert second.startswith("svdpp")
    assert [event.algorithm for event in deps.publisher.events] == ["svdpp"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "file", "where": data.SAMPLE}, "not from the lake of bucket b"),
        ({"where": "other"}, "not from the lake of bucket b"),
        ({"lake_version": 99}, "is not of version 99"),
    ],
)
def test_ratings_of_another_place_are_offered_to_nobody(change, said, deps, made, tmp_path):
    """The sample's users are not this site's; nor is what was made before `fetch` chose anew."""
    with pytest.raises(BadInput, match=said):
        offered(made.model_copy(update=change), tmp_path, deps)
    assert deps.objects.keys("models/") == []


def test_a_model_of_another_matrix_is_not_offered(deps, made, tmp_path):
    """Nor one whose file is not the one that its manifest vouches for."""
    manifest = tmp_path / "models/svd/manifest.json"
    told = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**told, "made_from": "matrices/other"}))
    with pytest.raises(BadInput, match="make retrain"):
        offered(made, tmp_path, deps)
    manifest.write_text(json.dumps(told))
    (tmp_path / "models/svd/factors.npz").write_bytes(b"PK")
    with pytest.raises(BadInput, match=r"factors\.npz"):
        offered(made, tmp_path, deps)


def test_without_kafka_nobody_is_told_and_the_next_offer_tells(deps, made, tmp_path):
    """What is stored by then stays, and is found stored."""
    deps.publisher.down = True
    with pytest.raises(NotReady):
        offered(made, tmp_path, deps)
    deps.publisher.down = False
    assert len(offered(made, tmp_path, deps)) == 2

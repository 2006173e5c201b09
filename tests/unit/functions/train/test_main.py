import dataclasses
from functools import partial

import pytest
import yaml

from functions.train import core
from functions.train.main import handle
from shared import erasure, failpoints, forgotten, keys
from shared.artifacts import rewrite
from shared.errors import BadEvent, Conflict, Corrupt, NotFound
from shared.events import ALGORITHMS, MatrixBuilt, ModelTrained, encode
from shared.model import FactorModel
from tests import entry, fakes
from tests.ratings import checkerboard, split_of

SPLIT = split_of(checkerboard(6), 0.2)
EVENT = MatrixBuilt(SPLIT.matrix_id, 3, SPLIT.train.n_ratings)


@pytest.fixture
def deps(tmp_path):
    quick = core.Parameters(n_factors=2, n_epochs=2, lr=0.01, reg=0.02)
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump({algorithm: quick.as_dict() for algorithm in ALGORITHMS}))
    deps = fakes.deps(tmp_path, params_file=params)
    manifest = deps.manifest(kind="matrix", id=SPLIT.matrix_id, lake_version=3)
    deps.artifacts.put(keys.matrix(SPLIT.matrix_id), SPLIT.to_files(), manifest)
    return deps


def test_each_algorithm_gives_a_stored_model_and_an_event(deps):
    """SVD and SVD++ are fitted, stored with their story, and announced."""
    handle(EVENT, deps)
    assert [event.algorithm for event in deps.publisher.events] == ["svd", "svdpp"]
    for event in deps.publisher.events:
        artifact = deps.artifacts.get(keys.model(event.algorithm, event.model_version))
        assert FactorModel.from_files(artifact.files).users == SPLIT.train.users
        assert artifact.manifest.made_from == keys.matrix(SPLIT.matrix_id)
        assert artifact.manifest.parameters["algorithm"] == event.algorithm
        assert artifact.manifest.metrics["fit_seconds"] >= 0
        assert set(artifact.manifest.processor) == {"loops", "blas"}
        assert all(artifact.manifest.processor.values())


def test_a_repeated_event_fits_nothing(deps, monkeypatch):
    """The models are there: they are announced again and not made again."""
    handle(EVENT, deps)
    monkeypatch.setattr("functions.train.main.train", None)
    handle(EVENT, deps)
    first, second = deps.publisher.events[:2], deps.publisher.events[2:]
    assert first == second
    assert all(isinstance(event, ModelTrained) for event in first)


def standing(deps, event, **changes):
    """Let a trained model stand, as evaluation would."""
    state = {"model_version": event.model_version, "matrix_id": event.matrix_id, "lake_version": 3} | changes
    deps.channels.update(keys.score_service(event.algorithm), lambda _: state)


def newer(deps):
    """Store a matrix of more of the lake, and return its event."""
    split = split_of(checkerboard(6, withheld=(1, 2)), 0.2)
    manifest = deps.manifest(kind="matrix", id=split.matrix_id, lake_version=4)
    deps.artifacts.put(keys.matrix(split.matrix_id), split.to_files(), manifest)
    return MatrixBuilt(split.matrix_id, 4, split.train.n_ratings)


def test_a_training_starts_from_the_standing_model(deps):
    """Of the same algorithm, and the manifest says which; a third of the passes are made."""
    handle(EVENT, deps)
    for event in deps.publisher.events:
        standing(deps, event)
    first = {event.algorithm: event.model_version for event in deps.publisher.events}
    handle(newer(deps), deps)
    for event in deps.publisher.events[2:]:
        manifest = deps.artifacts.manifest(keys.model(event.algorithm, event.model_version))
        assert manifest.warmed_from == first[event.algorithm]
        assert manifest.parameters["n_epochs"] == 1


def test_the_first_models_start_cold(deps):
    """There is nothing to start from, and the manifest says so."""
    handle(EVENT, deps)
    for event in deps.publisher.events:
        assert deps.artifacts.manifest(keys.model(event.algorithm, event.model_version)).warmed_from is None


def test_an_event_repeated_after_its_models_stand_fits_nothing(deps, monkeypatch):
    """The models that it made stand now; they are not what it starts from."""
    handle(EVENT, deps)
    for event in deps.publisher.events:
        standing(deps, event)
    second = newer(deps)
    handle(second, deps)
    for event in deps.publisher.events[2:]:
        standing(deps, event, lake_version=4)
    monkeypatch.setattr("functions.train.main.train", None)
    handle(second, deps)
    assert deps.publisher.events[2:4] == deps.publisher.events[4:]


@pytest.mark.parametrize("why", ["switched off", "other factors", "damaged", "damaged channel", "newer"])
def test_what_cannot_be_started_from_is_not(deps, why, tmp_path):
    """Cold it is when warm starts are off, or the standing model is unknown, damaged, newer, or has other factors."""
    handle(EVENT, deps)
    for event in deps.publisher.events:
        standing(deps, event)
    again = newer(deps)
    if why == "switched off":
        deps = dataclasses.replace(deps, settings=deps.settings.model_copy(update={"warm_start": False}))
    elif why == "other factors":
        wide = core.Parameters(n_factors=3, n_epochs=2, lr=0.01, reg=0.02)
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(dict.fromkeys(ALGORITHMS, wide.as_dict())))
    elif why == "damaged":
        for event in deps.publisher.events:
            deps.objects.objects[f"{keys.model(event.algorithm, event.model_version)}/manifest.json"] = b"{"
    elif why == "damaged channel":
        for algorithm in ALGORITHMS:
            deps.objects.put(keys.channel(keys.score_service(algorithm)), b"[" * 100_000)
    else:
        again = dataclasses.replace(again, lake_version=2)
    handle(again, deps)
    for event in deps.publisher.events[2:]:
        assert deps.artifacts.manifest(keys.model(event.algorithm, event.model_version)).warmed_from is None


def test_a_fit_that_diverges_goes_to_the_dead_letters(deps, tmp_path):
    """Parameters that no data can bear are not tried for ever."""
    wild = core.Parameters(n_factors=2, n_epochs=20, lr=90.0, reg=0.02)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(dict.fromkeys(ALGORITHMS, wild.as_dict())))
    with pytest.raises(BadEvent, match="lr 90"):
        handle(EVENT, deps)


def test_a_damaged_matrix_is_not_trained_on(deps):
    """Bytes that the manifest does not vouch for stop the training."""
    key = f"{keys.matrix(SPLIT.matrix_id)}/train.npz"
    deps.objects.objects[key] = deps.objects.objects[key][:-1] + b"!"
    with pytest.raises(Corrupt):
        handle(EVENT, deps)
    assert deps.publisher.events == []


def test_a_matrix_that_is_not_there_is_an_error(deps):
    """An event about nothing trains nothing."""
    with pytest.raises(NotFound):
        handle(MatrixBuilt("nowhere", 3, 1), deps)


def test_an_event_that_is_none_goes_to_the_dead_letters(deps, monkeypatch):
    """400: it will never be better."""
    headers = {"ce-id": "1", "ce-source": "/t", "ce-type": "marquee.matrix.built", "ce-specversion": "1.0"}
    with entry.client("train", deps, monkeypatch) as http:
        assert http.post("/", headers=headers, content=b'{"matrix_id": 7}').status_code == 400


def test_an_event_about_a_matrix_that_is_rewritten_comes_again(deps, monkeypatch):
    """503, not 400: it must not go to the dead letters because somebody is erased at that moment."""
    headers = {"ce-id": "1", "ce-source": "/t", "ce-type": "marquee.matrix.built", "ce-specversion": "1.0"}
    answers = []

    def ask(place):
        if place == "rewrite.in_place":
            answers.append(http.post("/", headers=headers, content=encode(EVENT)).status_code)

    with entry.client("train", deps, monkeypatch) as http:
        monkeypatch.setattr(failpoints, "reach", ask)
        rewrite(deps.objects, keys.matrix(SPLIT.matrix_id), partial(erasure.matrix_without, "", user_id="1"))
    assert set(answers[:-1]) == {503}
    assert answers[-1] == 204


def test_a_model_begun_before_somebody_asked_to_be_forgotten_is_not_stored(deps, monkeypatch):
    """They may be in it; the source comes again, and then it is."""
    make = deps.manifest

    def ask(self, **facts):
        forgotten.remember(deps.objects, "1")
        return make(**facts)

    with monkeypatch.context() as patch:
        patch.setattr(type(deps), "manifest", ask)
        with pytest.raises(Conflict):
            handle(EVENT, deps)
    assert (deps.objects.keys("models/"), deps.publisher.events) == ([], [])
    handle(EVENT, deps)
    assert len(deps.publisher.events) == 2


@pytest.mark.parametrize("users", ["1", "12"])
def test_a_model_made_while_somebody_is_erased_does_not_hold_them(deps, users, monkeypatch):
    """They were on the list when it began, read the matrix that still held them, and was done after all was erased."""
    for user in users:
        forgotten.remember(deps.objects, user)
    make = deps.manifest

    def erase(self, **facts):
        for user in users:
            rewrite(deps.objects, keys.matrix(SPLIT.matrix_id), partial(erasure.matrix_without, "", user_id=user))
        return make(**facts)

    monkeypatch.setattr(type(deps), "manifest", erase)
    handle(EVENT, deps)
    for event in deps.publisher.events:
        artifact = deps.artifacts.get(keys.model(event.algorithm, event.model_version))
        assert FactorModel.from_files(artifact.files).users == [each for each in SPLIT.train.users if each not in users]

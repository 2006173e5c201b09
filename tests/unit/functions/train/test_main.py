import pytest
import yaml

from functions.build_matrix import core as building
from functions.train import core
from functions.train.main import handle
from shared import keys
from shared.errors import Corrupt, NotFound
from shared.events import ALGORITHMS, MatrixBuilt, ModelTrained
from shared.model import FactorModel
from tests import entry, fakes
from tests.ratings import checkerboard, table

SPLIT = building.build(table(checkerboard(6)), 0.2)
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


def test_a_repeated_event_fits_nothing(deps, monkeypatch):
    """The models are there: they are announced again and not made again."""
    handle(EVENT, deps)
    monkeypatch.setattr("functions.train.main.train", None)
    handle(EVENT, deps)
    first, second = deps.publisher.events[:2], deps.publisher.events[2:]
    assert first == second
    assert all(isinstance(event, ModelTrained) for event in first)


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

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from cli.stages import __main__ as command
from cli.stages import data, models
from cli.stages.data import Source
from cli.stages.gate import gate
from functions.build_matrix import main as build_matrix
from functions.train.engine import Parameters
from infra.local.machine import ROOT
from shared import bootstrap, forgotten
from shared.errors import BadInput, NotReady
from shared.events import ALGORITHMS, LakeFolded
from tests import fakes
from tests.lake import put_ratings
from tests.ratings import checkerboard, table

LAKE = Source(kind="lake", where="b", lake_version=1)


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "ratings.csv"
    lines = [f"{user},{movie},{value},{time}" for user, movie, value, time in checkerboard(6)]
    path.write_text("\n".join(["user_id,movie_id,rating,timestamp", *lines]) + "\n")
    return Source(kind="file", where=str(path))


@pytest.fixture
def deps(tmp_path, monkeypatch):
    """A bucket with a lake, whom the stages find by their settings."""
    found = fakes.bucket(tmp_path, min_new_ratings="30")
    monkeypatch.setattr(bootstrap, "build", lambda *_, **__: found)
    return found


@pytest.fixture
def params(tmp_path):
    path = tmp_path / "params.yaml"
    quick = Parameters(n_factors=4, n_epochs=100, lr=0.02, reg=0.02)
    path.write_text(yaml.safe_dump({algorithm: quick.as_dict() for algorithm in ALGORITHMS}))
    return path


def made(source: Path, folder: Path, params: Path, seed: int = 1) -> dict[str, bytes]:
    """Run all stages, and return every file that they wrote."""
    data.fetch(source, folder / "fetched")
    data.matrix(source, folder / "fetched", folder / "matrix", 0.2)
    for algorithm in ALGORITHMS:
        models.train(algorithm, folder / "matrix", params, seed, 2, folder / algorithm)
        models.evaluate(
            folder / algorithm, folder / "matrix", folder / f"{algorithm}.json", folder / f"{algorithm}.csv"
        )
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_ratings_give_the_same_bytes(csv, params, tmp_path):
    """Every file of every stage, manifests too: nothing of the clock, of chance or of the machine is in them."""
    once, twice = made(csv, tmp_path / "once", params), made(csv, tmp_path / "twice", params)
    assert once == twice
    assert len(once) == 2 + 5 + 2 * 4


def test_another_seed_gives_another_model(csv, params, tmp_path):
    """What is said to decide decides."""
    once, other = made(csv, tmp_path / "once", params), made(csv, tmp_path / "other", params, seed=2)
    assert once["svd/factors.npz"] != other["svd/factors.npz"]
    assert once["matrix/train.npz"] == other["matrix/train.npz"]


def test_the_matrix_of_a_lake_is_the_one_that_the_function_builds(deps, tmp_path):
    """By name, which is that of its content: what DVC keeps and what the event-driven loop stores are one thing."""
    put_ratings(deps.lake, table(checkerboard(6)))
    build_matrix.handle(LakeFolded(1, 35), deps)
    (built,) = deps.publisher.events
    put_ratings(deps.lake, table([("1", "m0", 5, 9_999)]), first_offset=100)
    source = Source(kind="lake", where="b", lake_version=built.lake_version)
    assert data.fetch(source, tmp_path / "fetched") == 35
    fraction = deps.settings.validation_fraction
    manifest = data.matrix(source, tmp_path / "fetched", tmp_path / "matrix", fraction)
    assert (manifest.id, manifest.lake_version) == (built.matrix_id, built.lake_version)


def test_who_asked_to_be_forgotten_is_not_fetched(deps, tmp_path):
    """Also from a version of the lake of before."""
    put_ratings(deps.lake, table(checkerboard(6)))
    forgotten.remember(deps.objects, "3")
    source = Source(kind="lake", where="b", lake_version=deps.lake.version())
    assert data.fetch(source, tmp_path) == 29


def test_the_lake_is_pinned_where_the_settings_name_one(deps, tmp_path):
    """With a bucket its newest version; without, the sample. A lake without a version is no source."""
    given = {"BUCKET": "b", "S3_ENDPOINT": "http://127.0.0.1:1"}
    assert data.pinned({}) == Source(kind="file", where=data.SAMPLE)
    with pytest.raises(BadInput, match="empty"):
        data.pinned(given)
    put_ratings(deps.lake, table(checkerboard(3)))
    source = data.pinned(given)
    assert source == Source(kind="lake", where="b", lake_version=deps.lake.version())
    source.write(tmp_path / "source.yaml")
    assert Source.read(tmp_path / "source.yaml") == source


@pytest.mark.parametrize("text", ["", "kind: file", "kind: tape\nwhere: x", "kind: lake\nwhere: b\nlake_version: x"])
def test_a_source_that_is_none_is_refused(text, tmp_path):
    """With the file and what is wrong with it."""
    (tmp_path / "source.yaml").write_text(text)
    with pytest.raises(BadInput, match=r"source\.yaml"):
        Source.read(tmp_path / "source.yaml")


def test_ratings_of_another_bucket_are_not_taken_for_these(deps, tmp_path):
    """A version is a version of one lake."""
    with pytest.raises(BadInput, match="bucket other"):
        data.fetch(Source(kind="lake", where="other", lake_version=1), tmp_path)


def test_the_gate_compares_on_the_same_ratings(csv, params, tmp_path):
    """A model equals itself, is worse than a better one, unless by no more than the margin, and says by how much."""
    made(csv, tmp_path / "good", params)
    quick = Parameters(n_factors=4, n_epochs=60, lr=0.02, reg=0.02)
    params.write_text(yaml.safe_dump({algorithm: quick.as_dict() for algorithm in ALGORITHMS}))
    made(csv, tmp_path / "poor", params)
    good, poor, matrix = tmp_path / "good/svd", tmp_path / "poor/svd", tmp_path / "good/matrix"
    standing = models.load_model(good)
    assert gate(good, matrix, standing, 0.0).accepted
    assert gate(good, matrix, None, 0.0).reason.endswith("no model stands yet")
    refused = gate(poor, matrix, standing, 0.0)
    assert not refused.accepted
    assert "worse than" in refused.reason
    assert gate(poor, matrix, standing, 5.0).accepted


def test_a_build_ends_with_a_model_that_is_worse(csv, params, tmp_path, monkeypatch):
    """Exit code 1, with the reason for each; and none is let through because the live one cannot be had."""
    made(csv, tmp_path / "good", params)
    quick = Parameters(n_factors=4, n_epochs=60, lr=0.02, reg=0.02)
    params.write_text(yaml.safe_dump({algorithm: quick.as_dict() for algorithm in ALGORITHMS}))
    made(csv, tmp_path / "poor", params)
    monkeypatch.setattr(command, "MODELS", tmp_path / "poor")
    monkeypatch.setattr(command, "MATRIX", tmp_path / "good/matrix")
    monkeypatch.setattr(command, "live", lambda algorithm, *_: models.load_model(tmp_path / "good" / algorithm))
    done = CliRunner().invoke(command.app, ["gate", "--repository", "r"])
    assert done.exit_code == 1
    assert all(f"{algorithm}: refused: " in done.output for algorithm in ALGORITHMS)

    def away(*_):
        raise NotReady("the store is down")

    monkeypatch.setattr(command, "live", away)
    monkeypatch.setattr("sys.argv", ["python -m cli.stages", "gate", "--repository", "r"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2


def test_a_damaged_model_is_named(csv, params, tmp_path):
    """A file that is not the one of the manifest is not measured."""
    made(csv, tmp_path / "made", params)
    (tmp_path / "made/svd/factors.npz").write_bytes(b"PK")
    with pytest.raises(BadInput, match=r"factors\.npz"):
        models.load_model(tmp_path / "made/svd")


def test_metrics_are_numbers_that_dvc_can_compare(csv, params, tmp_path):
    """No seconds and no names of files: they would differ between machines."""
    files = made(csv, tmp_path / "made", params)
    report = json.loads(files["svd.json"])
    assert report["rmse"] > 0
    assert files["svd.csv"].decode().splitlines()[0] == "group,n,rmse,mae"


def test_the_lock_is_of_these_stages():
    """dvc.lock tells of the commands that dvc.yaml has: nobody changed one and forgot the other."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
    named = {
        f"{name}@{value}" for name, each in stages.items() for value in each.get("matrix", {}).get("algorithm", ())
    }
    assert lock.keys() == named | {name for name, each in stages.items() if "matrix" not in each}
    for name, stage in lock.items():
        paths = [entry["path"] for entry in stage["deps"]]
        written = [
            each.replace("${item.algorithm}", name.partition("@")[2]) for each in stages[name.partition("@")[0]]["deps"]
        ]
        assert sorted(paths) == sorted(written)

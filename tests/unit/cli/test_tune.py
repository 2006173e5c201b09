"""`marquee tune` as a person runs it, on few ratings."""

import json

import pytest
import yaml
from typer.testing import CliRunner

from cli.main import app
from shared.errors import BadInput
from tests.ratings import random_matrix

RUNNER = CliRunner()


@pytest.fixture
def ratings(tmp_path):
    """400 ratings, one a second."""
    rows, columns, values = random_matrix(n_users=30, n_movies=30, share=0.5).triples()
    lines = [
        f"{r},{c},{v},{1000 + (7 * n) % 401}" for n, (r, c, v) in enumerate(zip(rows, columns, values, strict=True))
    ]
    path = tmp_path / "ratings.csv"
    path.write_text("\n".join(["user_id,movie_id,rating,timestamp", *lines]) + "\n")
    return path


def tune(folder, ratings, n_trials, algorithm="svd"):
    files = ["--params", folder / "params.yaml", "--study", folder / "study"]
    arguments = [
        "--ratings",
        ratings,
        "--algorithm",
        algorithm,
        "--n-trials",
        n_trials,
        "--n-jobs",
        1,
        "--json",
        *files,
    ]
    done = RUNNER.invoke(app, ["tune", *(str(each) for each in arguments)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return answer(done.stdout, algorithm)


def test_a_search_goes_on_where_it_was_and_writes_the_winner(tmp_path, ratings):
    """The second run adds what is missing to the first; the file keeps the other algorithm; train takes it."""
    assert tune(tmp_path, ratings, 2)["n_trials"] == 2
    assert tune(tmp_path, ratings, 3)["n_trials"] == 3
    report = tune(tmp_path, ratings, 3)
    assert report["n_trials"] == 3
    assert report["rmse"].keys() == {"tuned", "defaults", "biases"}
    tune(tmp_path, ratings, 1, "svdpp")
    written = yaml.safe_load((tmp_path / "params.yaml").read_text())
    assert written["svd"] == report["parameters"]
    assert written.keys() == {"svd", "svdpp"}
    options = ["--ratings", ratings, "--params", tmp_path / "params.yaml", "--model", tmp_path / "model", "--json"]
    done = RUNNER.invoke(app, ["train", *(str(each) for each in options)])
    assert answer(done.stdout, "lr") == report["parameters"]["lr"]


def test_too_few_ratings_are_named(tmp_path):
    """All of one moment: there is no later to foretell."""
    path = tmp_path / "ratings.csv"
    path.write_text("user_id,movie_id,rating,timestamp\n1,a,3,5\n2,b,4,5\n")
    with pytest.raises(BadInput, match="too few"):
        tune(tmp_path, path, 1)


@pytest.mark.parametrize("content", ["garbage\n", "[]\n", '{"op_code": 99}\n', "{}\n"])
def test_a_file_that_is_no_study_is_named(tmp_path, ratings, content):
    """Whatever it holds, the message says what to do."""
    (tmp_path / "study").write_text(content)
    with pytest.raises(BadInput, match="study: not a study"):
        tune(tmp_path, ratings, 1)


def answer(stdout, key):
    """Return what a key holds in the JSON that was printed; threads of other tests may log before it and after."""
    decoder, place = json.JSONDecoder(), 0
    while place < len(stdout):
        found, place = decoder.raw_decode(stdout, place)
        if key in found:
            return found[key]
        place += len(stdout[place:]) - len(stdout[place:].lstrip())
    raise AssertionError(f"no {key} in {stdout}")

"""`marquee train`, `predict`, `evaluate` and `recommend` as a person runs them."""

import csv
import json

import pytest
from typer.testing import CliRunner

from cli.main import app
from shared.errors import BadInput
from tests.ratings import checkerboard

RUNNER = CliRunner()


def marquee(*arguments):
    """Run the command; return what it printed, or raise what it raised."""
    done = RUNNER.invoke(app, [str(each) for each in arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def ratings(tmp_path):
    """The checkerboard as a file."""
    path = tmp_path / "ratings.csv"
    lines = [f"{user},{movie},{value},{time}" for user, movie, value, time in checkerboard(6)]
    path.write_text("\n".join(["user_id,movie_id,rating,timestamp", *lines]) + "\n")
    return path


@pytest.fixture
def model(tmp_path, ratings):
    """A model trained on it."""
    folder = tmp_path / "model"
    marquee("train", "--ratings", ratings, "--model", folder, "--n-epochs", 200, "--n-factors", 4, "--seed", 1)
    return folder


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def test_train_says_what_it_did(tmp_path, ratings):
    """As JSON: the fit alone in seconds, how many ratings, and the parameters."""
    out = marquee("train", "--ratings", ratings, "--algorithm", "svdpp", "--model", tmp_path / "m", "--json")
    report = json.loads(out)
    assert (report["n_ratings"], report["algorithm"]) == (35, "svdpp")
    assert report["fit_seconds"] >= 0


def test_the_same_training_twice_is_the_same_model(tmp_path, ratings, model):
    """Into the same folder again nothing changes; another model there is refused."""
    again = ("train", "--ratings", ratings, "--model", model, "--n-epochs", 200, "--n-factors", 4, "--seed")
    before = (model / "factors.npz").read_bytes()
    marquee(*again, 1)
    assert (model / "factors.npz").read_bytes() == before
    with pytest.raises(BadInput, match="holds another model"):
        marquee(*again, 2)


def test_predict_keeps_the_order_of_the_pairs(tmp_path, model):
    """One line a pair; who is unknown counts as average; the withheld cell is a high one."""
    pairs = write(tmp_path / "pairs.csv", "user_id,movie_id", "1,m1", "1,m0", "stranger,nothing", "1,m1")
    out = tmp_path / "out.csv"
    marquee("predict", "--model", model, "--pairs", pairs, "--out", out)
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [(row["user_id"], row["movie_id"]) for row in rows] == [
        ("1", "m1"),
        ("1", "m0"),
        ("stranger", "nothing"),
        ("1", "m1"),
    ]
    assert float(rows[1]["prediction"]) > float(rows[0]["prediction"]) + 1
    assert float(rows[2]["prediction"]) == pytest.approx(3, abs=0.1)


def test_evaluate_by_hand(tmp_path, model, ratings):
    """On its own ratings the error is small; on a stranger's rating of 5 it is what the mean leaves."""
    report = json.loads(marquee("evaluate", "--model", model, "--ratings", ratings, "--json"))
    assert (report["n"], report["known"]["n"], report["unknown"]["n"]) == (35, 35, 0)
    assert report["rmse"] < report["global_mean"]["rmse"] / 2
    one = write(tmp_path / "one.csv", "user_id,movie_id,rating", "stranger,nothing,5")
    report = json.loads(marquee("evaluate", "--model", model, "--ratings", one, "--json"))
    assert report["rmse"] == pytest.approx(report["global_mean"]["rmse"], abs=1e-6)
    assert report["rmse"] == pytest.approx(5 - 3, abs=0.1)


def test_recommend_leaves_out_what_was_seen(model, ratings, tmp_path):
    """User 1 has one movie left, and its title is printed for a person."""
    found = json.loads(marquee("recommend", 1, "--model", model, "--seen", ratings, "--json"))
    assert [each["movie_id"] for each in found] == ["m0"]
    titles = write(tmp_path / "titles.csv", "movie_id,title,year", "m0,The Board,2001")
    assert "The Board (2001)" in marquee("recommend", 1, "--model", model, "--seen", ratings, "--titles", titles)


def test_recommend_says_why(model, ratings, tmp_path):
    """In words for a person, as numbers for a machine; what the user watched is named by its title."""
    titles = write(tmp_path / "titles.csv", "movie_id,title,year", "m0,The Board,2001", "m2,The Square,")
    text = marquee("recommend", 1, "--model", model, "--seen", ratings, "--titles", titles, "--why")
    assert text.startswith("The Board (2001), for user 1\n")
    assert "You would rate it" in text
    (found,) = json.loads(marquee("recommend", 1, "--model", model, "--seen", ratings, "--why", "--json"))
    why = found["why"]
    assert why["score"] == pytest.approx(why["chance"] * why["liking"])
    assert found["rating"] == pytest.approx(why["rating"], abs=1e-4)


def test_without_a_timestamp_the_order_of_rows_is_time(tmp_path):
    """Of two ratings by one user of one movie the later row counts."""
    path = write(tmp_path / "r.csv", "user_id,movie_id,rating", "1,a,1", "1,a,5", "2,a,5")
    report = json.loads(marquee("train", "--ratings", path, "--model", tmp_path / "m", "--json"))
    assert report["n_ratings"] == 2


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["user_id,movie_id", "1,a"], "no column rating"),
        (["user_id,movie_id,rating", "1,a,four"], r"row 1 below the header, column rating: 'four'"),
        (["user_id,movie_id,rating", "1,a,4", "1,b,nan"], "row 2 below the header, column rating"),
        (["user_id,movie_id,rating", ",a,4"], "column user_id"),
        (["user_id,movie_id,rating,timestamp", "1,a,4,yesterday"], "column timestamp: 'yesterday'"),
        (["user_id,movie_id,rating"], "no row"),
        (["user_id,movie_id,rating", "1,a,4,5,6"], "Expected 3 columns"),
    ],
)
def test_a_bad_file_is_named_with_row_column_and_value(tmp_path, lines, words):
    """The message says where to look."""
    path = write(tmp_path / "bad.csv", *lines)
    with pytest.raises(BadInput, match=words) as error:
        marquee("train", "--ratings", path, "--model", tmp_path / "m")
    assert "bad.csv" in str(error.value)


def test_files_that_are_not_there_are_named(tmp_path, model):
    """A missing file, a folder without a model, and a place that cannot be written."""
    with pytest.raises(BadInput, match=r"none\.csv"):
        marquee("train", "--ratings", tmp_path / "none.csv", "--model", tmp_path / "m")
    with pytest.raises(BadInput, match="holds no model"):
        marquee("recommend", 1, "--model", tmp_path)
    pairs = write(tmp_path / "pairs.csv", "user_id,movie_id", "1,m1")
    with pytest.raises(BadInput, match="nowhere"):
        marquee("predict", "--model", model, "--pairs", pairs, "--out", tmp_path / "nowhere" / "out.csv")


def test_a_damaged_model_is_refused(model):
    """A model whose bytes changed is not used."""
    path = model / "factors.npz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BadInput, match="damaged"):
        marquee("recommend", 1, "--model", model)


def test_a_user_who_came_after_training_is_folded_in(model, tmp_path):
    """A stranger who loves the movies of one colour gets the rest of that colour first, and nothing that was rated."""
    mine = ["stranger,m1,1", "stranger,m0,1", "stranger,m0,5", "stranger,m2,5", "stranger,unheard,5", "1,m4,1"]
    seen = write(tmp_path / "seen.csv", "user_id,movie_id,rating", *mine)
    found = json.loads(marquee("recommend", "stranger", "--model", model, "--seen", seen, "--json"))
    assert found[0]["movie_id"] == "m4"
    assert {each["movie_id"] for each in found} == {"m3", "m4", "m5"}
    assert found[0]["rating"] > max(each["rating"] for each in found[1:])


def test_an_unknown_user_is_said_to_be_unknown(model, ratings):
    """Nobody is made up: there must be ratings to fold in, and the message says what would help."""
    with pytest.raises(BadInput, match="does not know user 'stranger', and --seen can bring"):
        marquee("recommend", "stranger", "--model", model)
    with pytest.raises(BadInput, match=r"ratings\.csv holds no rating of theirs"):
        marquee("recommend", "stranger", "--model", model, "--seen", ratings)


@pytest.mark.parametrize(
    ("header", "why"),
    [(b"user_id,user_id,movie_id,rating", "user_id stands there twice"), (b"user_id,movie_id,rating,\xe9", "utf-8")],
)
def test_an_odd_header_is_named(tmp_path, header, why):
    """A column twice, or a name that is not UTF-8."""
    path = tmp_path / "odd.csv"
    path.write_bytes(header + b"\n1,1,2,3\n")
    with pytest.raises(BadInput, match=why):
        marquee("train", "--ratings", path, "--model", tmp_path / "m")


def test_a_warm_start_takes_the_factors_of_its_start(tmp_path, ratings, model):
    """And makes a third of the passes; the manifest names the start."""
    report = json.loads(
        marquee("train", "--ratings", ratings, "--model", tmp_path / "w", "--warm-from", model, "--json")
    )
    assert (report["n_factors"], report["n_epochs"]) == (4, 6)
    manifest = json.loads((tmp_path / "w" / "manifest.json").read_text())
    assert manifest["warmed_from"] == json.loads((model / "manifest.json").read_text())["id"]


def test_a_place_for_the_model_is_looked_for_before_the_fit(tmp_path, ratings, monkeypatch):
    """A file in the way is found before anything is fitted."""
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("cli.offline.timed", None)
    with pytest.raises(BadInput, match="not a folder"):
        marquee("train", "--ratings", ratings, "--model", tmp_path / "file")


def test_wrong_parameters_are_named_with_their_file(tmp_path, ratings):
    """Not YAML, empty, or of another algorithm."""
    path = tmp_path / "params.yaml"
    for text, why in (("", "dictionary"), ("a: [", "params.yaml"), ("svdpp: {n_factors: 2}", "n_epochs")):
        path.write_text(text)
        with pytest.raises(BadInput, match=f"params.yaml: .*{why}|{why}"):
            marquee("train", "--ratings", ratings, "--model", tmp_path / "m", "--params", path)

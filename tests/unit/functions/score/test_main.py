import dataclasses
import threading
import time

import pytest

from functions.recommend.core import is_plain
from functions.score.fresh import COLUMNS, KINDS
from functions.train import core as training
from shared import erasure, keys
from shared.artifacts import rewrite
from shared.errors import NotReady
from shared.ports import NO_VERSION, Fold
from shared.records import to_table
from shared.rows import Row
from tests import entry, fakes
from tests.ratings import checkerboard, matrix_of

SPLIT, FILES = matrix_of(checkerboard(6), 1 / 36)
MODEL = training.fit(SPLIT.train, "svd", training.Parameters(4, 20, 0.02, 0.01), seed=1)


@pytest.fixture
def deps(tmp_path):
    return fakes.deps(tmp_path, channel_poll_seconds="0.05", fresh_poll_seconds="0.05", k_revision="score-svd-00001")


def serve(deps, version="v1", lake_version=0):
    matrix = deps.manifest(kind="matrix", id=SPLIT.matrix_id, lake_version=lake_version)
    model = deps.manifest(kind="model", id=version, made_from=keys.matrix(SPLIT.matrix_id))
    deps.artifacts.put(keys.matrix(SPLIT.matrix_id), FILES, matrix)
    deps.artifacts.put(keys.model("svd", version), MODEL.to_files(), model)
    name(deps, version)


def name(deps, version):
    deps.channels.update("score-svd", lambda _: {"model_version": version, "matrix_id": SPLIT.matrix_id})


def happens(lake, kind, user, movie, offset, rating=None):
    row = Row(kind, "movielog", 0, offset, 5, time=5, user_id=user, movie_id=movie, rating=rating)
    lake.fold(to_table([row]), Fold(lake.last_fold().number + 1, []))


def until(http, path, wanted):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        answer = http.get(path)
        if wanted(answer):
            return answer
        time.sleep(0.01)
    raise AssertionError(answer.text)


def test_the_answer_names_the_model_that_made_it(deps, monkeypatch):
    """Movies, scores, ratings, model and revision come from one object."""
    serve(deps)
    with entry.client("score", deps, monkeypatch) as http:
        answer = http.get("/top/1?n=3&exclude=m1,m2")
        assert answer.json() == {
            "movies": ["m0"],
            "scores": answer.json()["scores"],
            "ratings": answer.json()["ratings"],
            "rung": answer.json()["rung"],
            "model": "svd@v1",
            "revision": "score-svd-00001",
        }
        assert answer.headers["content-type"] == "application/json"


def test_before_the_first_model_it_is_alive_and_not_ready(deps, monkeypatch):
    """No traffic comes until a model is loaded, and then it does without a restart."""
    with entry.client("score", deps, monkeypatch) as http:
        assert http.get("/health/readiness").status_code == 503
        assert http.get("/health/liveness").status_code == 200
        assert http.get("/top/1").status_code == 503
        assert http.get("/popular").status_code == 503
        serve(deps)
        until(http, "/health/readiness", lambda answer: answer.status_code == 200)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/top/999", 404),
        ("/top/1?n=0", 400),
        ("/top/1?n=many", 400),
        ("/top/1?n=21", 400),
        ("/top/1?n=%D9%A5", 400),
        ("/top/1?n=5&n=6", 400),
        (f"/top/1?exclude={'1,' * 20_000}", 400),
        ("/explain/999/m1", 404),
        ("/explain/1/m99", 404),
        ("/nowhere", 404),
    ],
)
def test_what_cannot_be_answered_is_a_problem(path, status, deps, monkeypatch):
    """Errors are problem+json with a status that says whose they are."""
    serve(deps)
    with entry.client("score", deps, monkeypatch) as http:
        answer = http.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_a_new_model_takes_over_and_a_damaged_one_does_not(deps, monkeypatch):
    """The channel is followed; a model that fails a check is refused, counted, and the old one keeps answering."""
    serve(deps)
    with entry.client("score", deps, monkeypatch) as http:
        serve(deps, "v2")
        until(http, "/top/1", lambda answer: answer.json()["model"] == "svd@v2")
        deps.objects.objects[f"{keys.model('svd', 'v3')}/factors.npz"] = b"damaged"
        name(deps, "v3")
        counted = until(http, "/metrics", lambda answer: 'marquee_model_refused_total{algorithm="svd"} ' in answer.text)
        assert 'marquee_model_info{algorithm="svd",model_version="v2"} 1.0' in counted.text
        assert http.get("/top/1").json()["model"] == "svd@v2"


def test_a_revision_may_be_pinned_to_its_model(deps, monkeypatch):
    """With MODEL_VERSION the channel is not asked: a revision serves one model for ever."""
    serve(deps, "v1")
    serve(deps, "v2")
    pinned = dataclasses.replace(deps, settings=deps.settings.model_copy(update={"model_version": "v1"}))
    with entry.client("score", pinned, monkeypatch) as http:
        assert http.get("/top/1").json()["model"] == "svd@v1"
        time.sleep(0.2)
        assert http.get("/top/1").json()["model"] == "svd@v1"


def test_a_movie_watched_now_is_gone_from_the_list(deps, monkeypatch):
    """The lake is followed: a watch hides the movie, and a stranger who watches is folded in."""
    serve(deps)
    lake = deps.open_lake()
    with entry.client("score", deps, monkeypatch) as http:
        assert http.get("/top/1").json()["movies"] == ["m0"]
        assert http.get("/top/999").status_code == 404
        happens(lake, "watch", "1", "m0", 1)
        happens(lake, "rating", "999", "m3", 2, rating=5.0)
        happens(lake, "account", "998", None, 3)
        until(http, "/top/1", lambda answer: answer.json()["movies"] == [])
        folded_in = until(http, "/top/999", lambda answer: answer.status_code == 200).json()
        assert folded_in["rung"] == "folded_in"
        assert sorted(folded_in["movies"]) == ["m0", "m1", "m2", "m4", "m5"]
        lag = until(http, "/metrics", lambda answer: "marquee_freshness_seconds 0.0" in answer.text)
        assert "marquee_fresh_rows_total 2.0" in lag.text
        assert "marquee_fresh_acts_number 2.0" in lag.text


def test_what_came_before_the_matrix_is_in_its_history(deps, monkeypatch):
    """Only commits after the matrix's lake version are read."""
    lake = deps.open_lake()
    happens(lake, "watch", "1", "m0", 1)
    serve(deps, lake_version=lake.version())
    with entry.client("score", deps, monkeypatch) as http:
        until(http, "/metrics", lambda answer: "marquee_freshness_seconds 0.0" in answer.text)
        assert http.get("/top/1").json()["movies"] == ["m0"]


def test_a_model_that_takes_over_forgets_nothing(deps, monkeypatch):
    """What users did since is known from its first answer."""
    serve(deps)
    with entry.client("score", deps, monkeypatch) as http:
        happens(deps.open_lake(), "watch", "1", "m0", 1)
        until(http, "/top/1", lambda answer: answer.json()["movies"] == [])
        serve(deps, "v2")
        for _ in range(200):
            answer = http.get("/top/1").json()
            assert answer["movies"] == []
            if answer["model"] == "svd@v2":
                return
            time.sleep(0.01)
        raise AssertionError("the new model never answered")


def test_who_was_erased_is_unknown_a_moment_later(deps, monkeypatch):
    """The same model is loaded anew, from the artifacts and from the lake; others notice nothing."""
    serve(deps)
    with entry.client("score", deps, monkeypatch) as http:
        assert http.get("/top/3").status_code == 200
        before = http.get("/top/1").json()
        rewrite(deps.objects, keys.model("svd", "v1"), lambda files: erasure.model_without(files, "3"))
        rewrite(
            deps.objects,
            keys.matrix(SPLIT.matrix_id),
            lambda files: erasure.matrix_without(SPLIT.matrix_id, files, "3"),
        )
        deps.channels.update(keys.ERASURE_CHANNEL, lambda now: {"erasures": 1})
        until(http, "/top/3", lambda answer: answer.status_code == 404)
        assert http.get("/top/1").json() == before


def test_a_model_that_was_being_erased_from_is_tried_again(deps, monkeypatch):
    """What is refused while its files are replaced is good once the erasure is told."""
    serve(deps)
    key = f"{keys.model('svd', 'v1')}/factors.npz"
    good, deps.objects.objects[key] = deps.objects.objects[key], b"half"
    with entry.client("score", deps, monkeypatch) as http:
        assert http.get("/health/readiness").status_code == 503
        deps.objects.objects[key] = good
        deps.channels.update(keys.ERASURE_CHANNEL, lambda now: {"erasures": 1})
        until(http, "/top/1", lambda answer: answer.status_code == 200)


def test_while_the_lake_is_away_models_answer_and_the_lag_grows(deps, monkeypatch):
    """Fresh rows are missed, not answers; a new model takes over as ever."""

    class Away:
        def since(self, version, kinds, columns):
            assert (kinds, columns) == (KINDS, COLUMNS)
            raise NotReady("the lake is away")

    serve(deps)
    later = dataclasses.replace(deps, open_commits=Away, now=lambda: fakes.NOW.replace(minute=1))
    with entry.client("score", later, monkeypatch) as http:
        time.sleep(0.2)
        assert http.get("/top/1").json()["movies"] == ["m0"]
        assert "marquee_freshness_seconds 60.0" in http.get("/metrics").text
        serve(deps, "v2")
        until(http, "/top/1", lambda answer: answer.json()["model"] == "svd@v2")


@pytest.mark.parametrize("does", ["panics", "hangs"])
def test_a_new_model_never_waits_long_for_the_lake(deps, monkeypatch, does):
    """A lake that hangs, or whose library panics, costs what users did since, not the model."""

    class Panic(BaseException):
        pass

    class Odd:
        def since(self, version, kinds, columns):
            if does == "panics":
                raise Panic("lost")
            over.wait(60)
            raise NotReady("hung")

    over = threading.Event()
    settings = deps.settings.model_copy(update={"fresh_wait_seconds": 0.1})
    serve(deps)
    with entry.client("score", dataclasses.replace(deps, open_commits=Odd, settings=settings), monkeypatch) as http:
        for version in ("v1", "v2", "v3"):
            serve(deps, version)
            until(http, "/top/1", lambda answer, version=version: answer.json()["model"] == f"svd@{version}")
    over.set()


def test_a_new_process_is_ready_once_it_has_caught_up_or_waited(deps, monkeypatch):
    """It answers from the first model on, and asks for traffic when it knows what came since, or cannot learn it."""

    class Later:
        def since(self, version, kinds, columns):
            if not go.is_set():
                raise NotReady("the lake is away")
            return version, iter(())

    serve(deps)
    for seconds, is_back in ((60.0, True), (0.3, False)):
        go = threading.Event()
        away = dataclasses.replace(
            deps, open_commits=Later, settings=deps.settings.model_copy(update={"fresh_wait_seconds": seconds})
        )
        with entry.client("score", away, monkeypatch) as http:
            assert http.get("/top/1").status_code == 200
            assert http.get("/health/readiness").status_code == 503
            if is_back:
                go.set()
            until(http, "/health/readiness", lambda answer: answer.status_code == 200)


def test_who_only_reads_makes_no_lake(deps, monkeypatch, tmp_path):
    """A score that starts before the first commit sees an empty lake, is ready, and sees the first one."""
    serve(deps, lake_version=NO_VERSION)
    with entry.client("score", deps, monkeypatch) as http:
        until(http, "/health/readiness", lambda answer: answer.status_code == 200)
        assert not (tmp_path / "lake").exists()
        happens(deps.open_lake(), "watch", "1", "m0", 1)
        until(http, "/top/1", lambda answer: answer.json()["movies"] == [])


def test_what_was_refused_is_not_loaded_again(deps, monkeypatch):
    """Artifacts never change, so damage stays; a model that was not there is looked for until it comes."""
    serve(deps)
    got = []
    get = deps.objects.get
    monkeypatch.setattr(deps.objects, "get", lambda key: got.append(key) or get(key))
    with entry.client("score", deps, monkeypatch) as http:
        http.get("/top/1")
        serve(deps, "bad")
        factors = f"{keys.model('svd', 'bad')}/factors.npz"
        deps.objects.objects[factors] = b"damaged"
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            assert http.get("/top/1").json()["model"] == "svd@v1"
        assert got.count(factors) == 1
        name(deps, "v2")
        time.sleep(0.2)
        serve(deps, "v2")
        until(http, "/top/1", lambda answer: answer.json()["model"] == "svd@v2")


def test_an_old_model_under_a_new_name_is_refused_once(deps, monkeypatch):
    """It is not loaded again and again, and what answers goes on."""
    serve(deps)
    for file in ("factors.npz", "manifest.json"):
        deps.objects.put(
            f"{keys.model('svd', 'copy')}/{file}", deps.objects.get(f"{keys.model('svd', 'v1')}/{file}").data
        )
    with entry.client("score", deps, monkeypatch) as http:
        http.get("/top/1")
        got = []
        get = deps.objects.get
        monkeypatch.setattr(deps.objects, "get", lambda key: got.append(key) or get(key))
        name(deps, "copy")
        until(http, "/metrics", lambda _: len(got) > 10)
        assert http.get("/top/1").json()["model"] == "svd@v1"
    assert sum("factors" in key for key in got) == 1


@pytest.mark.parametrize("state", [{"updated_at": "now"}, {"model_version": None}, {"model_version": 7}])
def test_a_channel_that_names_no_model_changes_nothing(deps, monkeypatch, state):
    """It is no model of the name "None": before the first model the probe says what is wrong."""
    deps.channels.update("score-svd", lambda _: state)
    with entry.client("score", deps, monkeypatch) as http:
        assert "names no model" in http.get("/health/readiness").json()["detail"]
        serve(deps)
        until(http, "/top/1", lambda answer: answer.status_code == 200)
        deps.channels.update("score-svd", lambda _: state)
        time.sleep(0.2)
        assert http.get("/top/1").json()["model"] == "svd@v1"


def test_popular_is_what_everybody_likes_now(deps, monkeypatch):
    """What is watched since the matrix counts, also a movie that the model does not know; the name says up to when."""
    lake = deps.open_lake()
    happens(lake, "account", "998", None, 0)
    serve(deps, lake_version=lake.version())
    with entry.client("score", deps, monkeypatch) as http:
        listed = until(http, "/popular", lambda answer: answer.status_code == 200).json()
        assert listed["model"] == f"popular@{SPLIT.matrix_id}+1"
        assert set(listed["movies"]) == set(SPLIT.train.movies)
        for offset in range(12):
            happens(lake, "watch", str(1_000 + offset), "premiere", offset + 1)
        until(http, "/popular", lambda answer: answer.json()["movies"][0] == "premiere")
        counted = until(http, "/popular", lambda answer: answer.json()["model"].endswith(f"+{lake.version()}"))
        assert is_plain(counted.json()["model"])


def test_an_explanation_is_of_the_score_that_is_served(deps, monkeypatch):
    """The same number as in the list, the same model, and what the user watched."""
    serve(deps)
    with entry.client("score", deps, monkeypatch) as http:
        listed, why = http.get("/top/1").json(), http.get("/explain/1/m0").json()
        assert why["score"] == pytest.approx(listed["scores"][0], rel=1e-5)
        assert why["rating"] == pytest.approx(listed["ratings"][0], rel=1e-5)
        assert {name: why[name] for name in ("model", "revision", "rung")} == {
            name: listed[name] for name in ("model", "revision", "rung")
        }
        assert not why["seen"]
        assert http.get("/explain/1/m2").json()["seen"]
        assert {each["movie"] for each in why["because"]} <= {"m1", "m2", "m3", "m4", "m5"}

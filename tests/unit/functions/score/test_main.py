import pytest

from functions.train import core as training
from shared import keys
from tests import entry, fakes
from tests.ratings import checkerboard, split_of

SPLIT = split_of(checkerboard(6), 1 / 36)
MODEL = training.fit(SPLIT.train, "svd", training.Parameters(4, 20, 0.02, 0.01), seed=1)


@pytest.fixture
def deps(tmp_path):
    return fakes.deps(tmp_path, channel_poll_seconds="0.05", k_revision="score-svd-00001")


def serve(deps, version="v1"):
    matrix = deps.manifest(kind="matrix", id=SPLIT.matrix_id)
    model = deps.manifest(kind="model", id=version, made_from=keys.matrix(SPLIT.matrix_id))
    deps.artifacts.put(keys.matrix(SPLIT.matrix_id), SPLIT.to_files(), matrix)
    deps.artifacts.put(keys.model("svd", version), MODEL.to_files(), model)
    name(deps, version)


def name(deps, version):
    deps.channels.update("score-svd", lambda _: {"model_version": version, "matrix_id": SPLIT.matrix_id})


def until(http, path, wanted):
    for _ in range(200):
        answer = http.get(path)
        if wanted(answer):
            return answer
    raise AssertionError(answer.text)


def test_the_answer_names_the_model_that_made_it(deps, monkeypatch):
    """Movies, scores, model and revision come from one object."""
    serve(deps)
    with entry.client("score", deps, monkeypatch) as http:
        answer = http.get("/top/1?n=3&exclude=m1,m2")
        assert answer.json() == {
            "movies": ["m0"],
            "scores": answer.json()["scores"],
            "rung": "personal",
            "model": "svd@v1",
            "revision": "score-svd-00001",
        }
        assert http.get("/health/readiness").status_code == 200


def test_before_the_first_model_it_is_alive_and_not_ready(deps, monkeypatch):
    """No traffic comes until a model is loaded, and then it does without a restart."""
    with entry.client("score", deps, monkeypatch) as http:
        assert http.get("/health/readiness").status_code == 503
        assert http.get("/health/liveness").status_code == 200
        assert http.get("/top/1").status_code == 503
        serve(deps)
        until(http, "/health/readiness", lambda answer: answer.status_code == 200)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/top/999", 404), ("/top/1?n=0", 400), ("/top/1?n=many", 400), ("/top/1?n=21", 400), ("/nowhere", 404)],
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

import json

import pytest

from functions.rollout.smoke import smoke
from shared.adapters.web import web
from shared.ports import Target
from shared.rollout import Release
from tests.web_server import Pages, served

RELEASE = Release(model_version="m2", revision="score-svd-m2", lake_version=2)
MADE_BY = {"model": "svd@m2", "revision": "score-svd-m2"}
MODEL = {"users": ["7", "a/ b"], **MADE_BY}
LIST = {"movies": ["a", "b"], "scores": [0.9, 0.8], "ratings": [4.0, 4.5], "rung": "personal", **MADE_BY}
GOOD = {"/model": MODEL, "/top/7": LIST, "/top/a%2F%20b": LIST}


@pytest.fixture
def pages():
    with served(Pages()) as pages:
        yield pages


def asked(pages, answers, host="canary-score-svd"):
    """Return what is found wrong with answers by their paths; a number is a status."""
    pages.pages = {
        path: (answer, b"") if isinstance(answer, int) else (200, json.dumps(answer).encode())
        for path, answer in answers.items()
    }
    return smoke(web(), Target("score-svd-m2", "canary", 0, pages.url, host), "svd", RELEASE)


def test_a_revision_that_answers_as_it_should_has_nothing_wrong(pages):
    """It is asked by its own host for the model and for those whom it says it knows, whatever they are called."""
    assert asked(pages, GOOD) == ""
    assert [(path, headers["host"]) for path, headers in pages.asked] == [(path, "canary-score-svd") for path in GOOD]
    assert asked(pages, GOOD, host=None) == ""


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"/model": 404}, "does not answer"),
        ({"/model": 500}, "answered 500"),
        ({"/model": {"error": "?"}}, "does not answer as it should"),
        ({"/model": MODEL | {"users": []}}, "knows no user"),
        ({"/model": MODEL | {"model": "svd@m1"}}, "svd@m1 of score-svd-m2 answers, not svd@m2"),
        ({"/model": MODEL | {"model": "svdpp@m2"}}, "svdpp@m2"),
        ({"/model": MODEL | {"revision": "score-svd-m1"}}, "of score-svd-m1 answers"),
        ({"/top/7": 404}, "does not answer"),
        ({"/top/7": 503}, "answered 503"),
        ({"/top/7": LIST | {"model": "svd@m1"}}, "svd@m1"),
        ({"/top/7": LIST | {"revision": "score-svd-m1"}}, "of score-svd-m1 answers"),
        ({"/top/7": LIST | {"movies": [], "scores": []}}, "no movies for user 7"),
        ({"/top/7": LIST | {"scores": [0.8, 0.9]}}, "order of their scores"),
        ({"/top/7": LIST | {"scores": [0.9]}}, "order of their scores"),
        ({"/top/7": LIST | {"scores": [float("nan"), 0.8]}}, "does not answer as it should"),
    ],
)
def test_a_revision_that_does_not_is_told_what_is_wrong(pages, wrong, reason):
    """In words that an operator understands, and without a crash."""
    assert reason in asked(pages, GOOD | wrong)


def test_a_revision_that_is_away_is_told_so():
    """Nobody listens."""
    away = Target("score-svd-m2", "canary", 0, "http://127.0.0.1:1")
    assert "does not answer" in smoke(web(), away, "svd", RELEASE)

import asyncio
import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from shared import keys
from tests import entry, fakes

NONSENSE = {"700": b"not json", "701": b"null", "702": b"[]", "703": b'{"movies": null}'}
MADE_BY = {"rung": "personal", "model": "svd@v1", "revision": "r1"}
CHANGES = {"800": {"movies": []}, "801": {"rung": "guessed"}, "802": {"movies": [7]}}


class Score(BaseHTTPRequestHandler):
    """A score service that does what its path's user id says."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]] = []

    def do_GET(self):
        Score.asked.append(self.path)
        user = self.path.split("?")[0].rsplit("/", 1)[1]
        status = {"404": 404, "500": 500}.get(user, 200)
        if user == "600":
            threading.Event().wait(1)
        body = {"movies": ["x", "y"], "scores": [0.5, 0.4], "ratings": [5.0, 4.0], **MADE_BY}
        data = NONSENSE.get(user) or json.dumps(body | CHANGES.get(user, {})).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@contextmanager
def score_service() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Score) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def deps(tmp_path):
    with score_service() as url:
        yield fakes.deps(
            tmp_path,
            score_svd_url=url,
            score_svdpp_url="http://127.0.0.1:1",
            score_share_ms="150",
            channel_poll_seconds="0.05",
        )


@pytest.fixture
def http(deps, monkeypatch):
    with entry.client("recommend", deps, monkeypatch) as client:
        yield client


def test_a_known_user_gets_personal_movies_as_plain_text(http):
    """One line of ids, and headers that say what made it."""
    answer = http.get("/recommend/1")
    assert (answer.status_code, answer.text) == (200, "x,y\n")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-marquee-rung"] == "personal"
    assert answer.headers["x-marquee-model"] == "svd@v1"
    assert answer.headers["x-marquee-revision"] == "r1"
    assert answer.headers["x-marquee-arm"] in {"svd", "svdpp"}
    assert answer.headers["cache-control"] == "no-store"


def test_a_store_that_is_away_from_the_start_costs_nobody_a_list(deps, monkeypatch):
    """The packaged list answers until the bucket can be read."""
    deps.objects.down = True
    with entry.client("recommend", deps, monkeypatch) as http:
        answer = http.get("/recommend/404?n=3")
        assert (answer.status_code, answer.headers["x-marquee-model"]) == (200, "popular@none")


def test_a_user_whom_only_the_other_model_knows_gets_personal_movies(deps, monkeypatch):
    """The two models may stand on different matrices; the ladder asks both before it gives up."""
    settings = deps.settings.model_copy(update={"score_svdpp_url": deps.settings.score_svd_url + "/unknown/404?"})
    deps = dataclasses.replace(deps, settings=settings)
    with entry.client("recommend", deps, monkeypatch) as http:
        answers = [http.get(f"/recommend/{user}") for user in range(1, 30)]
    assert {answer.headers["x-marquee-arm"] for answer in answers} == {"svd", "svdpp"}
    assert {answer.headers["x-marquee-rung"] for answer in answers} == {"personal"}


def test_json_when_asked_for(http):
    """The same facts as in the headers."""
    answer = http.get("/recommend/1", headers={"accept": "application/json", "x-request-id": "abc"})
    assert answer.json()["movies"] == ["x", "y"]
    assert answer.json()["request_id"] == "abc" == answer.headers["x-request-id"]


@pytest.mark.parametrize("user", ["404", "500", "600", *NONSENSE, *CHANGES])
def test_whatever_score_does_there_is_a_list(http, user):
    """Unknown user, error, silence, nonsense, an empty list: popular movies, in time, never an error."""
    answer = http.get(f"/recommend/{user}?n=5")
    assert answer.status_code == 200
    assert answer.headers["x-marquee-rung"] == "popular"
    assert len(answer.text.strip().split(",")) == 5


@pytest.mark.parametrize(
    "path",
    [
        "/recommend/0",
        "/recommend/-1",
        "/recommend/abc",
        "/recommend/%D9%A1%D9%A2",
        "/recommend/1e9",
        "/recommend/%2e%2e%2f",
        "/recommend/1/2",
        "/recommend/",
        f"/recommend/{'9' * 10_000}",
        "/recommend/1?n=0",
        "/recommend/1?n=5&n=6",
        "/recommend/1?exclude=../x",
    ],
)
def test_what_makes_no_sense_is_400_with_a_reason(http, path):
    """problem+json, with the request's id, and nothing else ever gets less than a list."""
    answer = http.get(path)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
    assert answer.headers["x-request-id"]


def test_what_was_served_is_put_on_record(http, deps):
    """The event holds the answer as it was given; a refused request leaves none."""
    http.get("/recommend/0")
    answer = http.get("/recommend/1", headers={"x-request-id": "req-1"})
    for _ in range(100):
        if deps.publisher.events:
            break
        asyncio.run(asyncio.sleep(0.02))
    (served,) = deps.publisher.events
    assert (served.request_id, served.user_id, served.movies) == ("req-1", "1", ("x", "y"))
    assert (served.rung, served.model, served.revision) == ("personal", "svd@v1", "r1")
    assert served.arm == answer.headers["x-marquee-arm"]


def test_n_and_exclude_reach_the_model(http):
    """The model leaves out what is excluded, so that the list keeps its length."""
    Score.asked.clear()
    http.get("/recommend/1?n=7&exclude=a,b")
    assert any("n=7" in path and "a" in path and "b" in path for path in Score.asked)


def test_popular_movies_follow_the_newest_matrix(http, deps):
    """Before the first matrix a packaged list answers, then the matrix's own."""
    assert http.get("/recommend/404").headers["x-marquee-model"] == "popular@none"
    manifest = deps.manifest(kind="matrix", id="m1")
    deps.artifacts.put(keys.matrix("m1"), {"popularity.json": b'["p1", "p2"]'}, manifest)
    deps.channels.update("build_matrix", lambda _: {"matrix_id": "m1"})
    for _ in range(100):
        answer = http.get("/recommend/404")
        if answer.headers["x-marquee-model"] == "popular@m1":
            break
    assert answer.text == "p1,p2\n"


@pytest.mark.parametrize("stored", [b"[]", b"[1, 2]", b"null", b"{"])
def test_a_popularity_list_that_is_none_is_not_used(http, deps, stored):
    """An empty or nonsensical list of a matrix never takes the place of one that has movies."""
    deps.artifacts.put(keys.matrix("m2"), {"popularity.json": stored}, deps.manifest(kind="matrix", id="m2"))
    deps.channels.update("build_matrix", lambda _: {"matrix_id": "m2"})
    time.sleep(0.2)
    assert len(http.get("/recommend/404").text.split(",")) == 20


def test_excluding_everything_still_gives_a_list(http, deps):
    """Where nothing is left, what was excluded is better than nothing."""
    deps.artifacts.put(keys.matrix("m3"), {"popularity.json": b'["a", "b"]'}, deps.manifest(kind="matrix", id="m3"))
    deps.channels.update("build_matrix", lambda _: {"matrix_id": "m3"})
    time.sleep(0.2)
    assert http.get("/recommend/404?exclude=a,b").text == "a,b\n"


def test_only_get_is_answered(http):
    """POST on a recommendation is refused."""
    assert http.post("/recommend/1").status_code == 405

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
from starlette.testclient import TestClient
from starlette.types import Message
from structlog.testing import capture_logs

from shared.adapters.entrypoint import MAX_BODY_BYTES, Once, event_app
from shared.errors import BadEvent, BadInput, Conflict, Corrupt, NotFound, NotReady
from shared.events import MatrixBuilt

HEADERS = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/x", "ce-type": MatrixBuilt.type}
BODY = b'{"matrix_id":"m","lake_version":1,"n_ratings":2}'


def serve(handler: Callable[[Any, Any], object], deps: Callable[[], Any] = lambda: "deps") -> TestClient:
    return TestClient(event_app(deps, {MatrixBuilt: handler}), raise_server_exceptions=False)


def test_a_good_event_is_handled_with_the_dependencies() -> None:
    """The handler gets the decoded event and what it works with; the source gets 2xx."""
    seen = []
    answer = serve(lambda event, deps: seen.append((event, deps))).post("/", content=BODY, headers=HEADERS)
    assert answer.status_code == 204
    assert seen == [(MatrixBuilt("m", 1, 2), "deps")]


@pytest.mark.parametrize("content_type", [b"", b'"datacontenttype":"application/json",'])
def test_a_structured_event_is_the_same_event(content_type: bytes) -> None:
    """The attributes may be in the body as well, and say what the data is or not."""
    seen = []
    body = (
        b'{"specversion":"1.0","id":"1","source":"/x","type":"marquee.matrix.built",' + content_type + b'"data":'
        b'{"matrix_id":"m","lake_version":1,"n_ratings":2}}'
    )
    answer = serve(lambda event, _: seen.append(event)).post(
        "/", content=body, headers={"content-type": "application/cloudevents+json"}
    )
    assert (answer.status_code, seen) == (204, [MatrixBuilt("m", 1, 2)])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadEvent("x"), 400),
        (BadInput("x"), 400),
        (Conflict("x"), 409),
        (NotReady("x"), 503),
        (NotFound("x"), 400),
        (Corrupt("x"), 400),
        (ValueError("x"), 500),
    ],
)
def test_the_status_tells_the_source_what_to_do(error: Exception, status: int) -> None:
    """400 is for the dead letters, everything else is tried again."""

    def fail(*_: object) -> None:
        raise error

    assert serve(fail).post("/", content=BODY, headers=HEADERS).status_code == status


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, BODY),
        (HEADERS | {"ce-type": "somebody.elses"}, BODY),
        ({name: value for name, value in HEADERS.items() if name != "ce-id"}, BODY),
        (HEADERS, b"not json"),
        (HEADERS, b"[" * 100_000),
        ({"content-type": "application/cloudevents+json"}, b"[" * 100_000),
        ({"content-type": "application/cloudevents+json"}, b"2026-11-22T10:00:00,12,GET /create_account"),
        (
            {"content-type": "application/cloudevents+json"},
            b'{"specversion":"1.0","id":"1","source":"x","type":"marquee.matrix.built","data_base64":"!"}',
        ),
        (HEADERS, b"x" * (MAX_BODY_BYTES + 1)),
        ({"content-type": "application/cloudevents+json"}, b'{"specversion":"1.0","id":"1","source":"x","type":[]}'),
    ],
)
def test_what_is_no_event_of_ours_is_refused(headers: dict[str, str], body: bytes) -> None:
    """400 with the reason, and the handler never sees it."""

    def unreachable(*_: object) -> None:
        raise AssertionError("handled")

    answer = serve(unreachable).post("/", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_health_says_whether_the_function_can_work() -> None:
    """Alive at once, ready when the stores answer, and the reason while they do not."""
    attempts: list[int] = []

    def connect() -> str:
        attempts.append(1)
        if len(attempts) == 1:
            raise NotReady("no bucket yet")
        return "deps"

    client = serve(lambda *_: None, connect)
    assert client.get("/health/liveness").status_code == 200
    first = client.get("/health/readiness")
    assert (first.status_code, first.json()["detail"]) == (503, "no bucket yet")
    assert client.get("/health/readiness").status_code == 200
    assert len(attempts) == 2


def test_metrics_and_strange_paths() -> None:
    """Metrics are Prometheus text; a path that is not there is a clear 404."""
    client = serve(lambda *_: None)
    assert "marquee_handled_events_total" in client.get("/metrics").text
    missing = client.get("/nothing")
    assert (missing.status_code, missing.json()["title"]) == (404, "Not Found")


async def test_once_is_once() -> None:
    """However many ask at the same time, the value is made one time."""
    import asyncio

    made = []
    once = Once(lambda: made.append(1) or len(made))  # type: ignore[func-returns-value]
    assert await asyncio.gather(*(once() for _ in range(20))) == [1] * 20


async def test_a_client_that_leaves_costs_one_line_of_the_log() -> None:
    """Nobody waits for the answer: no traceback, and half an event is handed to nobody."""
    received: list[Message] = [
        {"type": "http.request", "body": BODY[:9], "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return received.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
    app = event_app(lambda: "deps", {MatrixBuilt: lambda *_: pytest.fail("handled")})
    with capture_logs() as logs:
        await app(scope, receive, send)
    assert [(each["event"], each["n_bytes"]) for each in logs] == [("client_left", 9)]
    assert sent[0]["status"] == 503


FUNCTION = """
import asyncio, atexit
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from shared.adapters.entrypoint import Once, function_app, target

ready = Once(lambda: atexit.register(print, "ended", flush=True))

async def slow(_):
    print("asked", flush=True)
    await asyncio.sleep(1)
    print("answered", flush=True)
    return PlainTextResponse("late")

main = target(function_app(ready, [Route("/slow", slow)]))
"""


def test_who_is_asked_to_end_answers_and_then_does_what_is_left_for_its_exit(tmp_path: Path) -> None:
    """As a pod that is taken away: in the worker that functions-framework forks, and in that order."""
    (tmp_path / "main.py").write_text(FUNCTION)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("functions-framework")), "--target", "main", "--host", "127.0.0.1"]
    with subprocess.Popen(
        [*command, "--source", str(tmp_path / "main.py"), "--port", str(port)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[4])},
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            wait_for(f"http://127.0.0.1:{port}/health/readiness")
            with socket.create_connection(("127.0.0.1", port)) as user:
                user.sendall(b"GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                assert server.stdout
                assert server.stdout.readline() == "asked\n"
                server.send_signal(signal.SIGTERM)
                assert server.stdout.read().split() == ["answered", "ended"]
                assert user.makefile().read().endswith("late")
        finally:
            server.kill()


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (URLError, ConnectionError):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return

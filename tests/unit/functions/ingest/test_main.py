import asyncio
import io
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from prometheus_client import REGISTRY
from starlette.testclient import TestClient

from functions.ingest.main import Ingest
from shared import forgotten
from shared.adapters.kafka import LaterPublisher
from shared.bootstrap import Deps
from shared.events import EventsLanded
from shared.rows import Row
from tests import entry, fakes

HEADERS = {"ce-knativekafkapartition": "0", "ce-knativekafkaoffset": "7"}
LINE = b"2026-11-22T10:00:00,12,GET /rate/toy+story+1995=4"


@pytest.fixture
def deps(tmp_path: Path) -> Deps:
    return fakes.deps(tmp_path)


@pytest.fixture
def client(deps: Deps, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    return entry.client("ingest", deps, monkeypatch)


def landed(deps: Deps) -> list[dict[str, object]]:
    objects: dict[str, bytes] = deps.objects.objects  # type: ignore[attr-defined]
    groups = [data for key, data in objects.items() if key.startswith("landing/")]
    return [row for data in groups for row in pq.read_table(io.BytesIO(data)).to_pylist()]


def test_a_record_is_durable_when_it_is_answered(client: TestClient, deps: Deps) -> None:
    """2xx means: the row is in the bucket."""
    assert client.post("/movielog", content=LINE, headers=HEADERS).status_code == 204
    (row,) = landed(deps)
    assert (row["kind"], row["offset"], row["movie_id"], row["rating"]) == ("rating", 7, "toy+story+1995", 4.0)


def test_landing_is_announced(client: TestClient, deps: Deps) -> None:
    """The first group at once, and of those within the next second the newest, so that none waits for a schedule."""
    events: list[EventsLanded] = deps.publisher.events  # type: ignore[attr-defined]
    with client:
        for offset in range(5):
            client.post("/movielog", content=LINE, headers=HEADERS | {"ce-knativekafkaoffset": str(offset)})
        deadline = time.monotonic() + 5
        while len(events) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    first, *_, newest = deps.objects.objects  # type: ignore[attr-defined]
    assert events == [EventsLanded(first, 1), EventsLanded(newest, 1)]


def test_what_landed_is_told_before_the_end(deps: Deps, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what would have waited for its second to be over; then Kafka is left."""
    at_exit: list[Callable[[], None]] = []
    monkeypatch.setattr("atexit.register", at_exit.append)
    function = Ingest(deps, LaterPublisher(deps.publisher))

    async def take_in(*offsets: int) -> None:
        for offset in offsets:
            await function.store([Row("quarantine", "movielog", 0, offset, 1)])
            await asyncio.sleep(0.05)

    asyncio.run(take_in(1, 2, 3))
    (close,) = at_exit
    close()
    first, _, last = deps.objects.objects  # type: ignore[attr-defined]
    assert deps.publisher.events == [EventsLanded(first, 1), EventsLanded(last, 1)]  # type: ignore[attr-defined]
    assert deps.publisher.down  # type: ignore[attr-defined]


def test_a_store_that_is_down_is_503_until_it_is_back(client: TestClient, deps: Deps) -> None:
    """The source is told to come again, and then it works."""
    deps.objects.down = True  # type: ignore[attr-defined]
    assert client.post("/movielog", content=LINE, headers=HEADERS).status_code == 503
    deps.objects.down = False  # type: ignore[attr-defined]
    assert client.post("/movielog", content=LINE, headers=HEADERS).status_code == 204
    assert len(landed(deps)) == 1


def test_records_of_who_asked_to_be_forgotten_are_stored_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are answered 2xx and counted, quarantined ones too, moments after the list has grown; others go on."""
    deps = fakes.deps(tmp_path, channel_poll_seconds="0.05")
    client = entry.client("ingest", deps, monkeypatch)
    assert client.post("/movielog", content=LINE, headers=HEADERS).status_code == 204
    forgotten.remember(deps.objects, "12")
    before = REGISTRY.get_sample_value("marquee_forgotten_records_total") or 0.0
    time.sleep(0.5)
    for line in (LINE, LINE.replace(b"=4", b"=99"), LINE.replace(b",12,", b",13,")):
        assert client.post("/movielog", content=line, headers=HEADERS).status_code == 204
    assert sorted(str(row["user_id"]) for row in landed(deps)) == ["12", "13"]
    assert f"marquee_forgotten_records_total {before + 2}" in client.get("/metrics").text


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/cloudevents+json", LINE),
        ("application/cloudevents+json", b'{"id":"forged","source":"x","type":"y","specversion":"1.0","data":1}'),
        ("application/json", b"12345"),
        ("application/json", b"[" * 100_000),
        ("application/json", b"NaN"),
        ("text/plain; charset=utf-16", b"\xff\xfe\x00"),
        ("multipart/form-data", b""),
        ("", b"x" * 1_000_000),
    ],
)
def test_the_bytes_of_a_record_are_kept_whatever_they_claim_to_be(
    client: TestClient, deps: Deps, content_type: str, body: bytes
) -> None:
    """No content type makes the function parse, change or refuse what stood in Kafka."""
    headers = HEADERS | ({"content-type": content_type} if content_type else {})
    assert client.post("/movielog", content=body, headers=headers).status_code == 204
    (row,) = landed(deps)
    assert row["raw"] == body if row["kind"] == "quarantine" else row["movie_id"] == "toy+story+1995"


def test_what_is_no_delivery_is_refused(client: TestClient, deps: Deps) -> None:
    """Without its place in Kafka, or from another topic, nothing is stored."""
    assert client.post("/movielog", content=LINE).status_code == 400
    assert client.post("/elsewhere", content=LINE, headers=HEADERS).status_code == 400
    assert client.post("/movielog", content=b"x" * 9_000_000, headers=HEADERS).status_code == 400
    assert client.get("/movielog").status_code == 405
    assert landed(deps) == []

"""What the real KafkaSource dispatcher of Knative 1.21 sent for 20 records, and those records."""

import json
from pathlib import Path
from typing import Final

from infra.local.event_source.message import Message, Record

SOURCE: Final = "/apis/v1/namespaces/marquee/kafkasources/movielog#movielog"

_DELIVERIES: Final = json.loads(Path(__file__).with_name("data").joinpath("kafkasource-deliveries.json").read_text())
_STRUCTURED: Final = {"specversion": "1.0", "id": "abc-2", "source": "/marquee/x", "type": "marquee.matrix.built"}
_BINARY: Final = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"abc-1"),
    ("ce_source", b"/marquee/train"),
    ("ce_type", b"marquee.model.trained"),
    ("ce_knativekafkaoffset", b"777"),
    ("content-type", b"application/json"),
]
_TIME: Final = 1_795_452_160_294
_LINES: Final = {
    0: b"2026-11-23T10:00:00,12,GET /rate/toy+story+1995=4",
    1: b"2026-11-23T10:00:01,12,GET /data/m/toy+story+1995/3.mpg",
    2: b"12345",
    3: b'{"a": 1}',
    4: b"{broken",
    5: b"",
    6: None,
    7: "2026-11-23T10:00:02,12,GET /rate/amélie+2001=5".encode(),
    8: b"\xff\xfe bad utf8 \x00",
    9: b'{"movie": 1}',
    10: json.dumps({**_STRUCTURED, "datacontenttype": "application/json", "data": {"k": 2}}).encode(),
    11: b"line with header",
}
_KEYS: Final = {1: b"12", 6: b"tomb"}
_HEADERS: Final = {
    9: _BINARY,
    10: [("content-type", b"application/cloudevents+json")],
    11: [("trace", b"t1"), ("Weird-Name!", "é".encode())],
}

STATUSES: Final = (400, 401, 404, 413, 422, 429, 500, 503)
"""What the sink answered to the records of partition 1, in order; it answered 2xx to those of partition 0."""

RECORDS: Final = [
    *(Record("movielog", 0, n, _TIME, _KEYS.get(n), value, _HEADERS.get(n, [])) for n, value in _LINES.items()),
    *(Record("movielog", 1, n, _TIME, None, f"S{status}".encode(), []) for n, status in enumerate(STATUSES)),
]


def _message(delivery: dict) -> Message:  # type: ignore[type-arg]
    body = delivery["body"].replace("\\xff\\xfe", "\udcff\udcfe").encode("utf-8", "surrogateescape")
    return Message(delivery["headers"], body)


def _place(delivery: dict) -> tuple[int, int]:  # type: ignore[type-arg]
    headers = delivery["headers"]
    return int(headers["ce-knativekafkapartition"]), int(headers["ce-knativekafkaoffset"])


DELIVERIES: Final = [(each["to"], each["attempt"], *_place(each), _message(each)) for each in _DELIVERIES]
"""Every request: to the sink or to the dead letter sink, which attempt, partition, offset, and the request."""

RECORDED: Final = {(p, o): sent for to, attempt, p, o, sent in DELIVERIES if (to, attempt) == ("sink", 1)}
"""The first request of each record."""


def headers_of(sent: Message) -> dict[str, str]:
    """Return the headers that tell one request from another: not its time, its length and who carried it."""
    incidental = {"ce-time", "content-length", "ce-knativeerrordest", "host"}
    return {name: value for name, value in sent.headers.items() if name not in incidental}

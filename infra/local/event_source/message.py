"""The HTTP request that a Kafka record becomes: CloudEvents binary mode, as Knative's dispatcher writes it.

Pure: records in, headers and body out. (CloudEvents 1.0, HTTP and Kafka protocol bindings.)
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from infra.local.event_source.config import NAMESPACE

RECORD_TYPE: Final = "dev.knative.kafka.event"

_ALWAYS: Final = {"prefer": "reply", "kn-namespace": NAMESPACE}
_STRUCTURED: Final = "application/cloudevents+json"
_NEEDED: Final = {"specversion", "id", "source", "type"}
_DATA: Final = {"data", "data_base64", "datacontenttype"}
_ATTRIBUTE: Final = re.compile(r"[a-z0-9]+")
_NOT_IN_A_NAME: Final = re.compile(r"[^a-z0-9]")
_ERROR_DATA_BYTES: Final = 1024
_LATEST: Final = 253_402_300_799_999  # the end of the year 9999, in milliseconds: brokers take any number

Headers = dict[str, str]


class Record(NamedTuple):
    """A Kafka record: `value` is None for a tombstone, `timestamp` is in milliseconds since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Iterable[tuple[str, bytes | None]]


class Message(NamedTuple):
    """A request to POST; a body of None is a request without one."""

    headers: Headers
    body: bytes | None


def message(record: Record, source: str) -> Message:
    """Return the request of a record; one that is a CloudEvent already keeps its own id, source and type."""
    headers = {name.lower(): _text(value) for name, value in record.headers}
    event = _structured(record, headers) or _binary(record, headers) or _plain(record, headers, source)
    place = {
        "ce-knativekafkapartition": str(record.partition),
        "ce-knativekafkaoffset": str(record.offset),
    }
    return Message(_ALWAYS | event.headers | place, event.body)


def dead_letter(failed: Message, destination: str, status: int | None, answer: bytes) -> Message:
    """Return the request for the dead letter sink: the event with where it failed, and how."""
    error = {"ce-knativeerrordest": destination}
    if status is not None:
        error["ce-knativeerrorcode"] = str(status)
    if answer:
        error["ce-knativeerrordata"] = base64.b64encode(answer[:_ERROR_DATA_BYTES]).decode()
    return Message(failed.headers | error, failed.body)


def tick(name: str, event_id: str, now: datetime, content_type: str, data: str) -> Message:
    """Return the request of a PingSource."""
    event = {
        "ce-specversion": "1.0",
        "ce-id": event_id,
        "ce-source": f"/apis/v1/namespaces/{NAMESPACE}/pingsources/{name}",
        "ce-type": "dev.knative.sources.ping",
        "ce-time": now.isoformat().replace("+00:00", "Z"),
        "content-type": content_type,
    }
    return Message(_ALWAYS | event, data.encode())


def to_record(sent: Message) -> tuple[bytes | None, list[tuple[str, bytes]]]:
    """Return the value and headers that a KafkaSink writes for a request, in binary mode."""
    headers = [
        (name.replace("ce-", "ce_", 1) if name.startswith("ce-") else name, value.encode())
        for name, value in sent.headers.items()
        if name.startswith("ce-") or name == "content-type"
    ]
    return sent.body, headers


def _plain(record: Record, headers: Mapping[str, str], source: str) -> Message:
    moment = datetime.fromtimestamp(min(max(record.timestamp, 0), _LATEST) / 1000, UTC)
    event = {
        "ce-specversion": "1.0",
        "ce-id": f"partition:{record.partition}/offset:{record.offset}",
        "ce-source": source,
        "ce-type": RECORD_TYPE,
        "ce-subject": f"partition:{record.partition}#{record.offset}",
        "ce-time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    if record.key is not None:
        event |= {"ce-key": _text(record.key), "ce-partitionkey": _text(record.key)}
    extra = {f"ce-kafkaheader{_NOT_IN_A_NAME.sub('', name)}": value for name, value in headers.items()}
    return Message(event | extra, record.value)


def _binary(record: Record, headers: Mapping[str, str]) -> Message | None:
    if "ce_specversion" not in headers:
        return None
    event = {
        f"ce-{name[3:]}": value
        for name, value in headers.items()
        if _ATTRIBUTE.fullmatch(name[3:]) and name[:3] == "ce_"
    }
    if "content-type" in headers:
        event["content-type"] = headers["content-type"]
    return Message(event, record.value)


def _structured(record: Record, headers: Mapping[str, str]) -> Message | None:
    if not headers.get("content-type", "").startswith(_STRUCTURED):
        return None
    try:
        whole = json.loads(record.value or b"")
        if not isinstance(whole, dict) or not whole.keys() >= _NEEDED:
            return None
        body = _data(whole)
    except (ValueError, RecursionError):
        return None
    names = [name for name in whole if _ATTRIBUTE.fullmatch(name) and name not in _DATA]
    event = {f"ce-{name}": _ascii(str(whole[name])) for name in names}
    if "datacontenttype" in whole:
        event["content-type"] = _ascii(str(whole["datacontenttype"]))
    return Message(event, body)


def _data(whole: Mapping[str, Any]) -> bytes | None:
    if "data_base64" in whole:
        return base64.b64decode(str(whole["data_base64"]))
    if "data" not in whole:
        return None
    if isinstance(whole["data"], str) and "json" not in str(whole.get("datacontenttype", "json")):
        return str(whole["data"]).encode()
    return json.dumps(whole["data"], separators=(",", ":"), ensure_ascii=False).encode()


def _text(value: bytes | None) -> str:
    return _ascii((value or b"").decode(errors="replace"))


def _ascii(text: str) -> str:
    """Return text as it comes out of a header: whatever could not stand in one is a question mark."""
    return "".join(char if " " <= char <= "~" else "?" for char in text)

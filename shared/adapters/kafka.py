"""Events onto Kafka, as CloudEvents in binary mode."""

import hashlib
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import structlog
from cloudevents.http import CloudEvent
from cloudevents.kafka import to_binary
from kafka import KafkaProducer
from kafka.errors import KafkaError
from tenacity import Retrying, retry_if_result, wait_random_exponential

from shared import telemetry
from shared.adapters.kafka_connection import connection
from shared.errors import NotReady
from shared.events import encode
from shared.ports import Keyed, Publisher
from shared.settings import Settings

_ACKNOWLEDGED_SECONDS: Final = 15
_BATCH: Final = 1_000

log = structlog.get_logger()


@dataclass(frozen=True)
class KafkaPublisher:
    """A `Publisher` that waits until all in-sync replicas have the events."""

    settings: Settings
    source: str

    @cached_property
    def _producer(self) -> KafkaProducer:
        return KafkaProducer(
            **connection(self.settings),
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            max_block_ms=5_000,
            bootstrap_timeout_ms=5_000,
            delivery_timeout_ms=_ACKNOWLEDGED_SECONDS * 1000,
            request_timeout_ms=5_000,
        )

    def publish(self, event: Any) -> None:
        """Send an event to the topic of its type; a repeated event has the same id."""
        if self.publish_all([(event, None)]):
            raise NotReady(f"Kafka did not take {event.type}")

    def publish_all(self, keyed: Sequence[Keyed]) -> list[Keyed]:
        """Send events together, and return those that Kafka did not take."""
        pending = [(each, self._send(*each)) for each in keyed]
        return [each for each, sent in pending if sent is None or not _acknowledged(sent)]

    def close(self) -> None:
        """Send what is buffered and leave."""
        if "_producer" in self.__dict__:
            self._producer.close(timeout=5)

    def _send(self, event: Any, key: str | None) -> Any:
        message = to_binary(_cloud_event(event, self.source), data_marshaller=lambda data: data)
        try:
            return self._producer.send(
                event.type,
                value=message.value,
                key=key.encode() if key else None,
                headers=list(message.headers.items()),
            )
        except KafkaError as error:
            log.warning("publish_failed", event_type=event.type, reason=repr(error))
            return None


@dataclass
class LaterPublisher:
    """Publishes from memory in the background, so that an answer never waits for Kafka.

    While Kafka is away events wait, at most `capacity` of them; beyond that they are counted as dropped.
    """

    publisher: Publisher
    capacity: int = 100_000
    _closed: bool = field(init=False, default=False)
    _waiting: "queue.Queue[Keyed | None]" = field(init=False)
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._waiting = queue.Queue(self.capacity)
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def publish(self, event: Any, key: str) -> None:
        """Take an event to be published soon; one that finds no room, or comes after the end, is counted as dropped."""
        if self._closed:
            telemetry.EVENTS_DROPPED.inc()
            return
        try:
            self._waiting.put_nowait((event, key))
        except queue.Full:
            telemetry.EVENTS_DROPPED.inc()

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Publish what waits, as far as the time allows."""
        self._closed = True
        with suppress(queue.Full):
            self._waiting.put(None, timeout=timeout_seconds)
        self._thread.join(timeout_seconds)
        self.publisher.close()

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, closing = [first], False
            while len(batch) < _BATCH and not closing and not self._waiting.empty():
                each = self._waiting.get()
                closing = each is None
                batch += [] if each is None else [each]
            try:
                self._publish(batch)
            except Exception:  # events that can never be sent must not end the thread that sends the others
                log.exception("events_dropped", n_events=len(batch))
                telemetry.EVENTS_DROPPED.inc(len(batch))
            if closing:
                return

    def _publish(self, batch: list[Keyed]) -> None:
        until_taken = Retrying(retry=retry_if_result(bool), wait=wait_random_exponential(multiplier=0.2, max=5))
        until_taken(self._attempt, batch)

    def _attempt(self, batch: list[Keyed]) -> list[Keyed]:
        batch[:] = self.publisher.publish_all(batch)
        return batch


def _acknowledged(sent: Any) -> bool:
    try:
        sent.get(timeout=_ACKNOWLEDGED_SECONDS)
    except KafkaError as error:
        log.warning("publish_failed", reason=repr(error))
        return False
    return True


def _cloud_event(event: Any, source: str) -> CloudEvent:
    data = encode(event)
    attributes = {
        "type": event.type,
        "source": f"/marquee/{source}",
        "id": hashlib.sha256(event.type.encode() + data).hexdigest()[:32],
        "datacontenttype": "application/json",
    }
    return CloudEvent(attributes, data)

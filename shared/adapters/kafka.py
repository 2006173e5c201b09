"""Events onto Kafka, as CloudEvents in binary mode."""

import hashlib
import queue
import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import structlog
from cloudevents.http import CloudEvent
from cloudevents.kafka import to_binary
from kafka import KafkaProducer
from kafka.errors import KafkaError
from tenacity import retry, retry_if_exception_type, wait_random_exponential

from shared import telemetry
from shared.errors import NotReady
from shared.events import encode
from shared.ports import Publisher

_ACKNOWLEDGED_SECONDS: Final = 15

log = structlog.get_logger()


@dataclass(frozen=True)
class KafkaPublisher:
    """A `Publisher` that waits until all in-sync replicas have the event."""

    bootstrap: str
    source: str

    @cached_property
    def _producer(self) -> KafkaProducer:
        return KafkaProducer(
            bootstrap_servers=self.bootstrap,
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            max_block_ms=5_000,
            bootstrap_timeout_ms=5_000,
            delivery_timeout_ms=_ACKNOWLEDGED_SECONDS * 1000,
            request_timeout_ms=5_000,
        )

    def publish(self, event: Any, key: str | None = None) -> None:
        """Send an event to the topic of its type; a repeated event has the same id."""
        message = to_binary(_cloud_event(event, self.source), data_marshaller=lambda data: data)
        headers = [(name, value) for name, value in message.headers.items()]
        try:
            self._producer.send(
                event.type,
                value=message.value,
                key=key.encode() if key else None,
                headers=headers,
            ).get(timeout=_ACKNOWLEDGED_SECONDS)
        except KafkaError as error:
            raise NotReady(f"Kafka did not take {event.type}: {error!r}") from error

    def close(self) -> None:
        """Send what is buffered and leave."""
        if "_producer" in self.__dict__:
            self._producer.close(timeout=5)


@dataclass
class LaterPublisher:
    """Publishes from memory in the background, so that an answer never waits for Kafka.

    While Kafka is away events wait, at most `capacity` of them; beyond that they are counted as dropped.
    """

    publisher: Publisher
    capacity: int = 100_000
    _waiting: "queue.Queue[tuple[Any, str] | None]" = field(init=False)
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._waiting = queue.Queue(self.capacity)
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def publish(self, event: Any, key: str) -> None:
        """Take an event to be published soon; events of one key stay in order."""
        try:
            self._waiting.put_nowait((event, key))
        except queue.Full:
            telemetry.SERVED_LOST.inc()

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Publish what waits, as far as the time allows."""
        self._waiting.put(None)
        self._thread.join(timeout_seconds)
        self.publisher.close()

    def _run(self) -> None:
        while (waiting := self._waiting.get()) is not None:
            self._publish(*waiting)

    @retry(retry=retry_if_exception_type(NotReady), wait=wait_random_exponential(multiplier=0.2, max=5))
    def _publish(self, event: Any, key: str) -> None:
        try:
            self.publisher.publish(event, key)
        except NotReady as error:
            log.warning("publish_retried", event_type=event.type, reason=str(error))
            raise


def _cloud_event(event: Any, source: str) -> CloudEvent:
    data = encode(event)
    attributes = {
        "type": event.type,
        "source": f"/marquee/{source}",
        "id": hashlib.sha256(event.type.encode() + data).hexdigest()[:32],
        "datacontenttype": "application/json",
    }
    return CloudEvent(attributes, data)

"""Events onto Kafka, as CloudEvents in binary mode."""

import hashlib
import queue
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from cloudevents.http import CloudEvent
from cloudevents.kafka import to_binary
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from tenacity import Retrying, retry_if_result, stop_when_event_set, wait_random_exponential
from tenacity.nap import sleep_using_event

from shared import telemetry
from shared.adapters.kafka_connection import connection
from shared.adapters.kafka_producer import Producer
from shared.errors import NotReady
from shared.events import encode
from shared.ports import Keyed, Publisher
from shared.settings import Settings

_ACKNOWLEDGED_SECONDS: Final = 15
_LAST_SECONDS: Final = 1
_BATCH: Final = 1_000
_CUT_BYTES: Final = 100_000
_TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)

log = structlog.get_logger()


@dataclass
class KafkaPublisher:
    """A `Publisher` that waits until all in-sync replicas have the events.

    A producer that failed to send one is left, with whatever it still had, and the next events go through a new one. An
    event may so be sent twice, with the same id, and after a later one of its key.
    """

    settings: Settings
    source: str
    _producer: Producer | None = field(init=False, default=None)
    _turn: threading.Lock = field(init=False, default_factory=threading.Lock)

    def publish(self, event: Any) -> None:
        """Send an event to the topic of its type; a repeated event has the same id."""
        if self.publish_all([(event, None)]):
            raise NotReady(f"Kafka did not take {event.type}")

    def publish_all(self, keyed: Sequence[Keyed]) -> list[Keyed]:
        """Send events together, and return those that Kafka did not take within 15 seconds.

        After one that cannot even be handed over no other is tried: each would wait as long. One that is too large for
        its topic will not get smaller: it is sent cut, so that who reads it keeps it as what nobody can read, in
        quarantine or among the dead letters, with its size. One that is too large even so is counted as dropped.
        """
        left, too_large = self._tried(keyed)
        if not too_large:
            return left
        log.warning("events_cut", n_events=len(too_large), event_type=too_large[0][0].type)
        still, never = self._tried(too_large, _CUT_BYTES)
        if never:
            log.warning("events_dropped", n_events=len(never), reason="too large for their topic, even cut")
            telemetry.EVENTS_DROPPED.inc(len(never))
        return left + still

    def close(self) -> None:
        """Leave Kafka; who still waits for an event is told that it was not taken."""
        if self._producer is not None:
            self._leave(self._producer)

    def _tried(self, keyed: Sequence[Keyed], most_bytes: int | None = None) -> tuple[list[Keyed], list[Keyed]]:
        """Send events, of each so many bytes at most; return those that were not taken, and those too large to be."""
        try:
            producer = self._connected()
        except KafkaError as error:
            log.warning("publish_failed", reason=repr(error))
            return list(keyed), []
        sent: list[Any] = []
        for event, key in keyed:
            sent.append(self._send(producer, event, key, most_bytes))
            if isinstance(sent[-1], KafkaError) and not isinstance(sent[-1], _TOO_LARGE):
                break
        deadline = time.monotonic() + _ACKNOWLEDGED_SECONDS
        errors = [_failure(each, deadline) for each in sent]
        refused = [(each, error) for each, error in zip(keyed, errors, strict=False) if error]
        too_large = [each for each, error in refused if isinstance(error, _TOO_LARGE)]
        left = [each for each, error in refused if not isinstance(error, _TOO_LARGE)] + list(keyed[len(sent) :])
        if refused:
            log.warning("publish_failed", n_events=len(left) + len(too_large), reason=repr(refused[0][1]))
            self._leave(producer)
        return left, too_large

    def _connected(self) -> Producer:
        with self._turn:
            if self._producer is None:
                self._producer = Producer(
                    **connection(self.settings),
                    acks="all",
                    enable_idempotence=True,
                    linger_ms=5,
                    max_block_ms=5_000,
                    bootstrap_timeout_ms=5_000,
                    delivery_timeout_ms=_ACKNOWLEDGED_SECONDS * 1000,
                    request_timeout_ms=5_000,
                )
            return self._producer

    def _leave(self, producer: Producer) -> None:
        with self._turn:
            if self._producer is producer:
                self._producer = None
        producer.close(timeout=0)

    def _send(self, producer: Producer, event: Any, key: str | None, most_bytes: int | None) -> Any:
        """Hand an event over; return its future, or why that could not be done."""
        message = to_binary(_cloud_event(event, self.source, most_bytes), data_marshaller=lambda data: data)
        try:
            return producer.send(
                event.type,
                value=message.value,
                key=key.encode() if key else None,
                headers=list(message.headers.items()),
            )
        except KafkaError as error:
            return error


@dataclass
class LaterPublisher:
    """Publishes from memory in the background, so that an answer never waits for Kafka.

    While Kafka is away events wait, at most `capacity` of them; beyond that they are counted as dropped.
    """

    publisher: Publisher
    capacity: int = 100_000
    _closed: bool = field(init=False, default=False)
    _over: threading.Event = field(init=False, default_factory=threading.Event)
    _batch: list[Keyed] = field(init=False, default_factory=list)
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
        """Publish what waits, as far as the time allows; what is left is counted as dropped."""
        self._closed = True
        deadline = time.monotonic() + timeout_seconds
        with suppress(queue.Full):
            self._waiting.put(None, timeout=timeout_seconds)
        self._thread.join(max(0.0, deadline - time.monotonic()))
        self._over.set()
        self.publisher.close()
        self._thread.join(_LAST_SECONDS)
        left = len(self._batch) + sum(each is not None for each in list(self._waiting.queue))
        if left:
            log.warning("events_dropped", n_events=left, reason="closed before Kafka took them")
            telemetry.EVENTS_DROPPED.inc(left)

    def _run(self) -> None:
        closing = False
        while not closing and not self._over.is_set():
            closing = self._fill()
            try:
                self._publish()
            except Exception:  # events that can never be sent must not end the thread that sends the others
                log.exception("events_dropped", n_events=len(self._batch))
                telemetry.EVENTS_DROPPED.inc(len(self._batch))
                self._batch.clear()

    def _fill(self) -> bool:
        """Wait for events and take those that are there; return whether none comes after them."""
        each = self._waiting.get()
        while each is not None:
            self._batch.append(each)
            if len(self._batch) == _BATCH or self._waiting.empty():
                return False
            each = self._waiting.get()
        return True

    def _publish(self) -> None:
        """Send the batch until Kafka has taken it all, or there is no time left."""
        until_taken = Retrying(
            retry=retry_if_result(bool),
            wait=wait_random_exponential(multiplier=0.2, max=5),
            sleep=sleep_using_event(self._over),
            stop=stop_when_event_set(self._over),
            retry_error_callback=lambda state: state.outcome,
        )
        until_taken(self._attempt)

    def _attempt(self) -> list[Keyed]:
        self._batch[:] = self.publisher.publish_all(self._batch) if self._batch else []
        return self._batch


def _failure(sent: Any, deadline: float) -> KafkaError | None:
    """Return why Kafka did not take an event, None if it did."""
    if isinstance(sent, KafkaError):
        return sent
    try:
        sent.get(timeout=max(0.0, deadline - time.monotonic()))
    except KafkaError as error:
        return error
    return None


def _cloud_event(event: Any, source: str, most_bytes: int | None) -> CloudEvent:
    data = encode(event)
    attributes = {
        "type": event.type,
        "source": f"/marquee/{source}",
        "id": hashlib.sha256(event.type.encode() + data).hexdigest()[:32],
        "datacontenttype": "application/json",
    }
    if most_bytes is not None:
        attributes["cut"] = str(len(data))
    return CloudEvent(attributes, data[:most_bytes])

"""Read topics as one consumer of a group, deliver each record, commit what is settled."""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from kafka import TopicPartition
from kafka.errors import KafkaError
from kafka.structs import MemberState, OffsetAndMetadata

from infra.local.event_source.config import KafkaSource
from infra.local.event_source.delivery import SECONDS
from infra.local.event_source.message import Message, Record, message
from infra.local.event_source.offsets import Offsets
from shared.adapters.kafka_connection import connection
from shared.adapters.kafka_records import KafkaConsumer
from shared.settings import Settings

IN_FLIGHT: Final = 50

_AHEAD: Final = 500
_COMMIT_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 2.0
_HANGS_SECONDS: Final = 60.0
_SESSION_SECONDS: Final = 10.0

log = structlog.get_logger()


class Source:
    """A running KafkaSource: a thread that reads and commits, an event loop that delivers."""

    def __init__(
        self,
        spec: KafkaSource,
        settings: Settings,
        deliver: Callable[[Message], Awaitable[None]],
        silent_seconds: float = 30.0,
    ) -> None:
        """Take what delivers one event for good, and after how long out of its group the reader joins it anew.

        Nothing connects before `run`.
        """
        self._silent_seconds = silent_seconds
        self._spec = spec
        self._settings = settings
        self._deliver = deliver
        self.name = spec.metadata.name
        self._offsets: dict[TopicPartition, Offsets] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._order: dict[TopicPartition, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._queue: asyncio.Queue[tuple[Record, float]] = asyncio.Queue()
        self._reading = False
        self._heard = time.monotonic()

    @property
    def is_reading(self) -> bool:
        """Whether the consumer belongs to its group: it may have no partition, but somebody of the group has each."""
        return self._reading

    async def run(self) -> None:
        """Deliver until cancelled; then commit what is settled and leave the group. Raises what ends the reading."""
        loop = asyncio.get_running_loop()
        reader = threading.Thread(target=self._read_for_ever, args=(loop,), name=f"read-{self.name}", daemon=True)
        reader.start()
        try:
            await asyncio.gather(self._watch(reader), *(self._work() for _ in range(IN_FLIGHT)))
        finally:
            self._stop.set()
            await asyncio.to_thread(reader.join, 10)

    async def _watch(self, reader: threading.Thread) -> None:
        """Raise when the reader has died or hangs in Kafka's client, so that the process ends and is started again."""
        while reader.is_alive() and time.monotonic() - self._heard < _HANGS_SECONDS:
            await asyncio.sleep(1)
        raise RuntimeError(f"{self.name}: the reader {'hangs' if reader.is_alive() else 'has died'}")

    async def _work(self) -> None:
        while True:
            record, read_at = await self._queue.get()
            place = TopicPartition(record.topic, record.partition)
            if self._spec.spec.ordering == "ordered":
                async with self._order[place]:
                    await self._settle(record, place, read_at)
            else:
                await self._settle(record, place, read_at)

    async def _settle(self, record: Record, place: TopicPartition, read_at: float) -> None:
        await self._deliver(message(record, self._spec.source_of(record.topic)))
        SECONDS.labels(self.name).observe(time.monotonic() - read_at)
        with self._lock:
            if place in self._offsets:
                self._offsets[place].settle(record.offset)

    def _read_for_ever(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._stop.is_set():
            self._heard = time.monotonic()
            try:
                self._read(loop)
            except KafkaError as error:
                log.warning("kafka_unreachable", source=self.name, reason=repr(error)[:200])
                self._stop.wait(_AGAIN_SECONDS)
            except RuntimeError:
                if not loop.is_closed():
                    raise

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        consumer = KafkaConsumer(
            **connection(self._settings),
            group_id=self._spec.spec.consumer_group,
            group_instance_id=f"{self._spec.spec.consumer_group}-0",  # restarted, it goes on without a rebalance
            auto_offset_reset=self._spec.spec.initial_offset,
            enable_auto_commit=False,
            bootstrap_timeout_ms=10_000,
            session_timeout_ms=int(_SESSION_SECONDS * 1000),
            max_poll_records=_AHEAD,
        )
        try:
            consumer.subscribe(self._spec.spec.topics)
            began = committed_at = time.monotonic()
            while not self._stop.is_set():
                self._heard = time.monotonic()
                self._hold_back(consumer)
                found = consumer.poll(timeout_ms=20 if self._n_open() else 200)
                self._keep(consumer.assignment())
                self._take(found, loop)
                if time.monotonic() - committed_at > _COMMIT_SECONDS:
                    silent = min(_silent_for(consumer), time.monotonic() - began)
                    self._tell(consumer, silent)
                    if silent > self._silent_seconds:
                        log.warning("joining_anew", source=self.name, silent_seconds=round(silent))
                        return
                    self._commit(consumer)
                    committed_at = time.monotonic()
            self._commit(consumer)
        finally:
            self._reading = False
            consumer.close(autocommit=False)

    def _tell(self, consumer: KafkaConsumer, silent: float) -> None:
        """Note whether Kafka counts the consumer among its group: it joined, and its heart has beaten since.

        Being assigned partitions says nothing of that: kafka-python holds on to them when it finds no coordinator.
        """
        joined = consumer.group_metadata().state == MemberState.STABLE
        reading = joined and silent < _SESSION_SECONDS
        if reading != self._reading:
            self._reading = reading
            log.info("reading" if reading else "not_reading", source=self.name, partitions=len(consumer.assignment()))

    def _keep(self, assigned: set[TopicPartition]) -> None:
        """Forget partitions that another consumer of the group has taken over; it delivers what is open again."""
        with self._lock:
            self._offsets = {place: offsets for place, offsets in self._offsets.items() if place in assigned}
        self._committed = {place: offset for place, offset in self._committed.items() if place in assigned}

    def _take(self, found: dict[TopicPartition, list[Any]], loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        for place, records in found.items():
            with self._lock:
                offsets = self._offsets.setdefault(place, Offsets(records[0].offset))
                for record in records:
                    offsets.take(record.offset)
            loop.call_soon_threadsafe(self._enqueue, [Record(*_fields(record)) for record in records], now)

    def _enqueue(self, records: list[Record], read_at: float) -> None:
        for record in records:
            self._queue.put_nowait((record, read_at))

    def _n_open(self) -> int:
        with self._lock:
            return sum(offsets.n_open for offsets in self._offsets.values())

    def _hold_back(self, consumer: KafkaConsumer) -> None:
        """Read no further while enough is waiting; polling goes on, for the group's sake."""
        places = consumer.assignment()
        if self._n_open() >= _AHEAD:
            consumer.pause(*places)
        elif consumer.paused():
            consumer.resume(*places)

    def _commit(self, consumer: KafkaConsumer) -> None:
        with self._lock:
            settled = {place: offsets.committable for place, offsets in self._offsets.items()}
        news = {place: offset for place, offset in settled.items() if self._committed.get(place) != offset}
        if news:
            consumer.commit({place: OffsetAndMetadata(offset, "", -1) for place, offset in news.items()})
            self._committed |= news


def _silent_for(consumer: KafkaConsumer) -> float:
    """Return for how many seconds no heartbeat was sent to the group; infinity if none ever was."""
    return float(consumer.metrics()["consumer-coordinator-metrics"]["last-heartbeat-seconds-ago"])


def _fields(record: Any) -> tuple[Any, ...]:
    return (
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        record.headers,
    )

"""Bulk from Kafka straight into the lake, exactly once, each partition by itself.

A commit carries the last offset it holds as a Delta application transaction, so a backfill that was cut off
goes on where the lake ends, and one that runs twice adds nothing.
"""

import multiprocessing
import os
import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

from kafka import TopicPartition
from kafka.errors import KafkaError

from functions.ingest import core
from shared import bootstrap, forgotten
from shared.adapters.kafka_connection import connection
from shared.adapters.kafka_records import KafkaConsumer
from shared.adapters.lake import DeltaLake
from shared.errors import BadInput, Conflict, NotReady
from shared.records import to_table
from shared.rows import Place, Row
from shared.settings import Settings

_COMMIT_ROWS = 250_000
_SILENCE_SECONDS = 30


class Span(NamedTuple):
    """The offsets of a partition that are still to be read: from first, up to but without end."""

    partition: int
    first: int
    end: int


def plan(topic: str, environment: Mapping[str, str]) -> list[Span]:
    """Return what is in Kafka now and not in the lake by an earlier backfill.

    Raises: BadInput if there is no such topic or no way to read it; NotReady.
    """
    if topic not in core.TOPICS:
        raise BadInput(f"{topic!r} is no topic of records; it is one of {', '.join(core.TOPICS)}")
    lake = _lake(environment)
    with _consumer(environment) as consumer:
        partitions = consumer.partitions_for_topic(topic)
        if not partitions:
            raise BadInput(f"Kafka at {environment['KAFKA_BOOTSTRAP']} has no topic {topic!r}")
        places = [TopicPartition(topic, number) for number in sorted(partitions)]
        begins, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
    spans = []
    for place in places:
        done = lake.backfilled(topic, place.partition)
        first = max(begins[place], -1 if done is None else done + 1)
        if first < ends[place]:
            spans.append(Span(place.partition, first, ends[place]))
    return spans


def backfill(
    topic: str,
    spans: Sequence[Span],
    environment: Mapping[str, str],
    on_progress: Callable[[int, int], None] = lambda _partition, _offset: None,
) -> int:
    """Read the spans with one process a partition, as many at once as there are processors.

    `on_progress` is told a partition and the offset its reader has come to.
    Returns: rows committed. Raises: NotReady; what was committed stays, and the next call goes on from there.
    """
    context = multiprocessing.get_context("spawn")
    workers = min(len(spans), os.cpu_count() or 1)
    with context.Manager() as manager, ProcessPoolExecutor(max(workers, 1), context) as pool:
        news: queue.Queue[tuple[int, int]] = manager.Queue()
        tasks = [pool.submit(fill, topic, span, dict(environment), news) for span in spans]
        while not all(task.done() for task in tasks):
            time.sleep(0.1)
            while not news.empty():
                on_progress(*news.get())
        return sum(task.result() for task in tasks)


def fill(topic: str, span: Span, environment: Mapping[str, str], news: "queue.Queue[tuple[int, int]]") -> int:
    """Commit one partition's span, a quarter of a million rows at a time; return how many rows."""
    lake = _lake(environment)
    limits = Settings.from_env(environment).limits
    objects = bootstrap.build("backfill", environment, writes=False).objects
    rows: list[Row] = []
    total = 0
    for position, records in read(topic, span, environment):
        now = time.time_ns() // 1000
        rows += [core.row(r.value or b"", Place(topic, span.partition, r.offset, now), limits) for r in records]
        if rows and (len(rows) >= _COMMIT_ROWS or position >= span.end):
            shall_go = forgotten.read(objects)
            kept = [row for row in rows if not shall_go.holds(row)]
            try:
                lake.backfill(to_table(kept), topic, span.partition, rows[-1].offset)
            except Conflict as error:
                raise NotReady(f"another backfill is at work on {topic}-{span.partition}: {error}") from error
            total += len(kept)
            rows = []
        news.put((span.partition, min(position, span.end)))
    return total


def read(topic: str, span: Span, environment: Mapping[str, str]) -> Iterator[tuple[int, list[Any]]]:
    """Yield the records of a span as they come, each batch with the offset after it.

    Raises: NotReady if Kafka is silent for half a minute.
    """
    place = TopicPartition(topic, span.partition)
    with _consumer(environment) as consumer:
        consumer.assign([place])
        consumer.seek(place, span.first)
        heard = time.monotonic()
        position = span.first
        while position < span.end:
            found = consumer.poll(timeout_ms=500, max_records=20_000).get(place, [])
            before, position = position, consumer.position(place)
            if position > before:
                heard = time.monotonic()
                yield position, [record for record in found if record.offset < span.end]
            elif time.monotonic() - heard > _SILENCE_SECONDS:
                raise NotReady(f"Kafka sent nothing of {topic}-{span.partition} for {_SILENCE_SECONDS} s")


@contextmanager
def _consumer(environment: Mapping[str, str]) -> Iterator[KafkaConsumer]:
    settings = Settings.from_env(environment)
    try:
        consumer = KafkaConsumer(
            **connection(settings),
            enable_auto_commit=False,
            bootstrap_timeout_ms=10_000,
            max_partition_fetch_bytes=8 * 2**20,
        )
        try:
            yield consumer
        finally:
            consumer.close(autocommit=False)
    except KafkaError as error:
        raise NotReady(f"Kafka at {settings.kafka_bootstrap}: {error!r}") from error


def _lake(environment: Mapping[str, str]) -> DeltaLake:
    return bootstrap.lake(Settings.from_env(environment), environment)

import asyncio
import threading
from contextlib import suppress

import pytest
from kafka import TopicPartition
from kafka.consumer.group import ConsumerGroupMetadata
from kafka.structs import MemberState

from infra.local.event_source import kafka_source
from infra.local.event_source.config import KafkaSource
from infra.local.event_source.kafka_source import Source
from shared.settings import Settings
from tests.fakes import ENVIRONMENT

SPEC = KafkaSource.model_validate(
    {
        "apiVersion": "sources.knative.dev/v1",
        "kind": "KafkaSource",
        "metadata": {"name": "s"},
        "spec": {
            "consumerGroup": "g",
            "topics": ["t"],
            "initialOffset": "earliest",
            "ordering": "unordered",
            "sink": {"uri": "http://127.0.0.1:1/"},
            "delivery": {
                "retry": 0,
                "backoffPolicy": "exponential",
                "backoffDelay": "PT0.1S",
                "timeout": "PT1S",
                "deadLetterSink": {"uri": "http://127.0.0.1:1/"},
            },
        },
    }
)


async def nowhere(_):
    raise AssertionError("delivered")


async def test_a_reader_that_dies_ends_the_source(monkeypatch):
    """An error nobody foresaw is not silence: the process ends, and its supervisor starts it again."""

    def broken(**_):
        raise TypeError("a bug")

    monkeypatch.setattr(kafka_source, "KafkaConsumer", broken)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    with pytest.raises(RuntimeError, match="s: the reader has died"):
        await Source(SPEC, Settings.from_env(ENVIRONMENT), nowhere).run()


async def test_a_reader_that_hangs_ends_the_source(monkeypatch):
    """Kafka's client may never come back from a call."""
    release = threading.Event()

    def stuck(**_):
        release.wait(30)
        raise TypeError("released")

    monkeypatch.setattr(kafka_source, "KafkaConsumer", stuck)
    monkeypatch.setattr(kafka_source, "_HANGS_SECONDS", 0.1)
    monkeypatch.setattr(threading, "excepthook", lambda _: release.set())
    threading.Timer(3, release.set).start()
    with pytest.raises(RuntimeError, match="s: the reader hangs"):
        await Source(SPEC, Settings.from_env(ENVIRONMENT), nowhere).run()


class Consumer:
    """A consumer of an empty topic, as far from its group as a test says."""

    def __init__(self, state=MemberState.STABLE, silent=0.0, assigned=()):
        self.state, self.silent, self.assigned = state, silent, set(assigned)
        self.closed = False

    def subscribe(self, topics):
        pass

    def poll(self, timeout_ms):
        return {}

    def paused(self):
        return set()

    def assignment(self):
        return self.assigned

    def group_metadata(self):
        return ConsumerGroupMetadata("g", state=self.state)

    def metrics(self):
        return {"consumer-coordinator-metrics": {"last-heartbeat-seconds-ago": self.silent}}

    def close(self, autocommit):
        self.closed = True


async def reading(monkeypatch, *consumers, until):
    """Run a source on consumers, one after the other, until something is so; return it as it was then."""
    left = list(consumers)
    monkeypatch.setattr(kafka_source, "KafkaConsumer", lambda **_: left.pop(0))
    monkeypatch.setattr(kafka_source, "_COMMIT_SECONDS", 0.0)
    monkeypatch.setattr(kafka_source, "_SESSION_SECONDS", 0.1)
    source = Source(SPEC, Settings.from_env(ENVIRONMENT), nowhere, silent_seconds=0.3)
    running = asyncio.ensure_future(source.run())
    try:
        async with asyncio.timeout(10):
            while not until(source):
                await asyncio.sleep(0.01)
        return source.is_reading
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.mark.parametrize("state", [MemberState.STABLE, MemberState.REBALANCING])
async def test_a_reader_that_its_group_does_not_hear_joins_anew(monkeypatch, state):
    """Kafka has given its partitions up, though it holds on to them: no error says so, and no record comes."""
    lost = Consumer(state, silent=float("inf"), assigned=[TopicPartition("t", 0)])
    assert await reading(monkeypatch, lost, Consumer(), until=lambda source: lost.closed and source.is_reading)


async def test_a_member_without_partitions_reads(monkeypatch):
    """A group may have more consumers than the topic has partitions: the others have them, and nothing is wrong."""
    idle, started = Consumer(), asyncio.get_running_loop().time()

    def after_a_second(source):
        return asyncio.get_running_loop().time() > started + 1

    assert await reading(monkeypatch, idle, until=after_a_second)


async def test_a_reader_without_a_heartbeat_does_not_read(monkeypatch):
    """Health says so before the reader joins anew."""
    lost = Consumer(assigned=[TopicPartition("t", 0)])

    def falls_silent(source):
        if source.is_reading:
            lost.silent = 0.2
        return lost.silent and not source.is_reading

    assert not await reading(monkeypatch, lost, until=falls_silent)

import threading

import pytest

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

import pytest

from infra.local.event_source import config
from infra.local.machine import ROOT, SOURCES, TOPICS, Machine
from infra.local.parts import parts
from shared.errors import BadSettings
from shared.events import PIPELINE

ADDRESSES = next(part.environment for part in parts(Machine(ROOT)) if part.name == "event-source")


def test_every_topic_with_a_consumer_exists():
    """The sources of this machine read topics that are created, and their sinks have an address."""
    loaded = config.load(SOURCES, ADDRESSES)
    topics = {topic for source in loaded.kafka for topic in source.spec.topics}
    assert topics <= set(TOPICS)
    assert {event.type for event in PIPELINE} | {"movielog"} <= set(TOPICS)
    assert all(str(source.spec.sink.uri).startswith("http://127.0.0.1:") for source in (*loaded.kafka, *loaded.pings))


def test_nothing_is_ever_lost_by_a_source():
    """Every source tries again and has a dead letter sink."""
    for source in config.load(SOURCES, ADDRESSES).kafka:
        assert source.spec.delivery.retry >= 10
        assert source.spec.delivery.dead_letter_sink.ref is not None


def test_a_function_is_asked_at_its_path():
    """The reference says which function, the URI beside it where there."""
    movielog, *_ = config.load(SOURCES, ADDRESSES).kafka
    assert movielog.spec.sink.uri == f"{ADDRESSES['INGEST_URL']}/movielog"


def test_a_missing_address_is_named(tmp_path):
    """The variable that the environment lacks is in the message."""
    with pytest.raises(BadSettings, match="INGEST_URL"):
        config.load(SOURCES, {})


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (("retry:", "retries:"), "retries"),
        (("exponential", "linear"), "backoffPolicy"),
        (("name: deadletter", "name: lost"), "lost"),
        (("serving.knative.dev/v1", "v1"), "apiVersion"),
        (("name: ingest", "name: digest"), "DIGEST_URL"),
    ],
)
def test_a_wrong_key_is_an_error_and_not_a_default(tmp_path, change, word):
    """A misspelt key, an unknown policy and a sink that is nowhere are refused by name."""
    path = tmp_path / "sources.yaml"
    path.write_text(SOURCES.read_text().replace(*change, 1))
    with pytest.raises(BadSettings, match=word):
        config.load(path, ADDRESSES)

"""The requests of 20 records, beside what Knative's own dispatcher (1.21) sent for the same ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.event_source.message import Message, Record, dead_letter, message, tick, to_record
from tests.fakes import NOW
from tests.recording import RECORDED, RECORDS, SOURCE, headers_of


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: f"{record.partition}:{record.offset}")
def test_a_record_becomes_the_request_that_knative_sends(record):
    """Every header and every byte of the body, for plain, keyed, broken, empty, deleted and CloudEvent records."""
    expected = RECORDED[record.partition, record.offset]
    sent = message(record, SOURCE)
    assert headers_of(sent) == headers_of(expected)
    assert (sent.body or b"") == (expected.body or b"")
    assert (sent.body is None) == ("content-length" not in expected.headers)


def test_a_dead_letter_says_where_and_how_it_failed():
    """The event itself with the sink, the status, and the first kilobyte of the answer."""
    failed = Message({"ce-id": "1"}, b"x")
    letter = dead_letter(failed, "http://sink/", 400, b"a" * 2000)
    assert letter.headers["ce-knativeerrordest"] == "http://sink/"
    assert letter.headers["ce-knativeerrorcode"] == "400"
    assert len(letter.headers["ce-knativeerrordata"]) == 4 * -(-1024 // 3)
    assert letter.body == b"x"
    unreachable = dead_letter(failed, "http://sink/", None, b"")
    assert "ce-knativeerrorcode" not in unreachable.headers


def test_a_sink_topic_gets_the_event_in_binary_mode():
    """Attributes become ce_ headers, the body stays the value."""
    value, headers = to_record(Message({"ce-id": "1", "content-type": "a/b", "prefer": "reply"}, b"x"))
    assert (value, headers) == (b"x", [("ce_id", b"1"), ("content-type", b"a/b")])


def test_a_tick_is_a_ping_source_s():
    """Type, source and time as PingSource has them."""
    sent = tick("fold-lake", "id-1", NOW, "application/json", "{}")
    assert sent.headers["ce-type"] == "dev.knative.sources.ping"
    assert sent.headers["ce-source"] == "/apis/v1/namespaces/marquee/pingsources/fold-lake"
    assert sent.headers["ce-time"] == "2026-11-23T12:00:00Z"


@given(
    st.one_of(st.none(), st.binary(max_size=40)),
    st.one_of(st.none(), st.binary(max_size=60)),
    st.lists(st.tuples(st.text(max_size=12), st.one_of(st.none(), st.binary(max_size=20))), max_size=3),
    st.sampled_from([b"", b"application/cloudevents+json"]),
    st.integers(-(2**63), 2**63 - 1),
)
def test_any_record_gives_a_request_that_http_can_carry(key, value, extra, content_type, timestamp):
    """Whatever a producer writes, headers are printable ASCII on one line, and the place is Kafka's own."""
    extra += [("ce_" + name, data) for name, data in extra] + [("ce_specversion", b"1.0")] * len(extra)
    headers = [*extra, ("content-type", content_type), ("ce_knativekafkaoffset", b"999")]
    sent = message(Record("t", 1, 2, timestamp, key, value, headers), "/s#t")
    assert sent.headers["ce-knativekafkapartition"] == "1"
    assert sent.headers["ce-knativekafkaoffset"] == "2"
    for name, text in sent.headers.items():
        assert (name + text).isascii()
        assert (name + text).isprintable()

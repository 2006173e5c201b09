from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kafka.errors import MessageSizeTooLargeError

from infra.local.event_source.config import Delivery, Sink
from infra.local.event_source.delivery import HttpDeadLetters, KafkaDeadLetters, deliver
from infra.local.event_source.message import Message, Record, dead_letter, message, to_record

DELIVERY = Delivery(
    retry=3,
    backoffPolicy="exponential",
    backoffDelay=timedelta(milliseconds=1),
    timeout=timedelta(seconds=2),
    deadLetterSink=Sink(uri="http://nowhere/"),
)
EVENT = Message({"ce-id": "1"}, b"x")


class Letters:
    """Dead letters that fail a number of times before they are kept."""

    def __init__(self, failures=0):
        self.kept = []
        self._failures = failures

    async def put(self, message):
        self._failures -= 1
        if self._failures >= 0:
            raise ConnectionError("not yet")
        self.kept.append(message)


async def sink(answers, seen):
    """A server that gives each answer in turn, the last one for ever."""

    async def receive(request):
        seen.append((request.headers, await request.read()))
        return web.Response(status=answers[min(len(seen), len(answers)) - 1], text="why")

    app = web.Application()
    app.add_routes([web.post("/", receive)])
    server = TestServer(app)
    await server.start_server()
    return server


async def delivered(answers, event=EVENT, letters=None):
    """Deliver to a sink with these answers; return what it saw and the dead letters."""
    seen, letters = [], letters or Letters()
    server = await sink(answers, seen)
    try:
        async with aiohttp.ClientSession() as http:
            await deliver(http, str(server.make_url("/")), event, DELIVERY, letters, "test")
    finally:
        await server.close()
    return seen, letters.kept


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_2xx_settles_an_event(status):
    """One request, no dead letter."""
    seen, kept = await delivered([status])
    assert (len(seen), kept) == (1, [])


@pytest.mark.parametrize("status", [404, 408, 409, 429, 500, 502, 503])
async def test_what_may_get_better_is_tried_again(status):
    """Once more than the number of retries, then a dead letter with the status."""
    seen, kept = await delivered([status])
    assert len(seen) == 4
    assert kept[0].headers["ce-knativeerrorcode"] == str(status)
    assert kept[0].headers["ce-knativeerrordata"]


@pytest.mark.parametrize("status", [301, 400, 401, 403, 413, 422])
async def test_what_cannot_get_better_goes_straight_to_the_dead_letters(status):
    """One request."""
    seen, kept = await delivered([status])
    assert (len(seen), len(kept)) == (1, 1)


async def test_a_sink_that_recovers_gets_the_event():
    """503, 503, 204: no dead letter."""
    seen, kept = await delivered([503, 503, 204])
    assert (len(seen), kept) == (3, [])


async def test_a_sink_that_is_not_there_is_tried_again_and_named():
    """Refused connections end in a dead letter without a status."""
    letters = Letters()
    async with aiohttp.ClientSession() as http:
        await deliver(http, "http://127.0.0.1:1/", EVENT, DELIVERY, letters, "test")
    assert letters.kept[0].headers["ce-knativeerrordest"] == "http://127.0.0.1:1/"
    assert "ce-knativeerrorcode" not in letters.kept[0].headers


async def test_a_dead_letter_is_put_until_it_is_kept():
    """An event is not settled before the dead letters have it."""
    _, kept = await delivered([400], letters=Letters(failures=3))
    assert len(kept) == 1


async def test_only_the_event_s_own_headers_are_sent():
    """No content type where the record had none, and a tombstone has no length, which is not a length of 0."""
    seen, _ = await delivered([204])
    assert {name.lower() for name in seen[0][0]} == {"host", "ce-id", "content-length"}
    seen, _ = await delivered([204], Message({"ce-id": "1"}, None))
    assert {name.lower() for name in seen[0][0]} == {"host", "ce-id"}
    seen, _ = await delivered([204], Message({"ce-id": "1"}, b""))
    assert seen[0][0]["content-length"] == "0"


async def test_dead_letters_can_go_to_a_uri():
    """They are posted, and anything but 2xx is an error to try again on."""
    seen = []
    server = await sink([500, 204], seen)
    try:
        async with aiohttp.ClientSession() as http:
            letters = HttpDeadLetters(http, str(server.make_url("/")), 2)
            with pytest.raises(ConnectionError):
                await letters.put(EVENT)
            await letters.put(EVENT)
    finally:
        await server.close()
    assert [body for _, body in seen] == [b"x", b"x"]


class Producer:
    """Kafka's producer, for records of up to a megabyte with their headers."""

    def __init__(self):
        self.kept = []

    def send(self, topic, value, headers):
        if len(value or b"") + sum(len(name) + len(text) for name, text in headers) > 1_000_000:
            raise MessageSizeTooLargeError("too large")
        self.kept.append((topic, value, headers))
        return self

    def get(self, timeout):
        assert timeout > 0


async def test_a_dead_letter_that_kafka_finds_too_large_is_cut_not_tried_for_ever():
    """Its beginning and its headers are kept, with the size it had: enough to find the record itself."""
    producer = Producer()
    letters = KafkaDeadLetters(producer, "dead")
    await letters.put(Message({"ce-id": "1"}, b"y" * 2_000_000))
    await letters.put(EVENT)
    (topic, value, headers), whole = producer.kept
    assert (topic, set(value)) == ("dead", {ord("y")})
    assert headers == [("ce_id", b"1"), ("cut", b"2000000"), ("cutheaders", b"6")]
    assert whole == ("dead", b"x", [("ce_id", b"1")])


@pytest.mark.parametrize(
    "odd",
    [{"ce-key": "k" * 5_000_000}, {f"ce-{'n' * 2_000_000}": "v"}, {f"ce-h{n}": "v" * 1_000 for n in range(5_000)}],
    ids=["a long value", "a long name", "many"],
)
@pytest.mark.parametrize("body", [None, b"", b"y" * 9_000_000])
async def test_a_dead_letter_is_kept_however_large_its_headers_are(odd, body):
    """A key is a header too. What tells which record it was and what went wrong stays whole."""
    producer = Producer()
    record = Record("t", 3, 7, 0, None, body, [])
    failed = message(record, "/s#t")
    letter = dead_letter(Message(odd | failed.headers, body), "http://sink/", 413, b"a" * 1024)
    await KafkaDeadLetters(producer, "dead").put(Message(letter.headers | odd, body))
    ((_, _, headers),) = producer.kept
    expected = dict(to_record(dead_letter(failed, "http://sink/", 413, b"a" * 1024))[1])
    telling = {name for name in expected if name in {"ce_id", "ce_source", "ce_type"} or "knative" in name}
    assert len(telling) == 8
    assert {name: dict(headers)[name] for name in telling} == {name: expected[name] for name in telling}
    assert int(dict(headers)["cutheaders"]) > 1_000_000

import threading
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from shared import telemetry
from shared.adapters import kafka
from shared.adapters.kafka import KafkaPublisher, LaterPublisher
from shared.errors import BadEvent, NotReady
from shared.events import MatrixBuilt, ModelEvaluated, decode, encode
from shared.ports import Keyed
from shared.settings import Settings
from tests.fakes import ENVIRONMENT, MemoryPublisher

SETTINGS = Settings.from_env(ENVIRONMENT)


class Producer:
    """Remembers what was sent; its futures are done at once."""

    def __init__(self, **configuration: Any) -> None:
        self.configuration = configuration
        self.sent: list[dict[str, Any]] = []

    def send(self, topic: str, **record: Any) -> "Producer":
        self.sent.append({"topic": topic, **record})
        return self

    def get(self, timeout: float) -> None:
        assert 0 <= timeout <= 15

    def close(self, timeout: float) -> None:
        self.sent.append({"closed": timeout})


def test_an_event_is_a_cloudevent_in_binary_mode(monkeypatch: Any) -> None:
    """Attributes are headers, the payload is the value, and a repeated event has the same id."""
    monkeypatch.setattr(kafka, "Producer", Producer)
    publisher = KafkaPublisher(SETTINGS, "build_matrix")
    assert publisher.publish_all([(MatrixBuilt("m", 1, 2), "k")]) == []
    publisher.publish(MatrixBuilt("m", 1, 2))
    publisher.publish(MatrixBuilt("m", 1, 3))
    producer: Any = publisher._producer
    first, second, third = producer.sent
    assert (first["topic"], first["key"], first["value"]) == (
        "marquee.matrix.built",
        b"k",
        b'{"matrix_id":"m","lake_version":1,"n_ratings":2}',
    )
    headers = [dict(record["headers"]) for record in (first, second, third)]
    assert headers[0]["ce_type"] == b"marquee.matrix.built"
    assert headers[0]["ce_source"] == b"/marquee/build_matrix"
    assert headers[0]["content-type"] == b"application/json"
    assert headers[0]["ce_id"] == headers[1]["ce_id"] != headers[2]["ce_id"]
    publisher.close()
    assert producer.sent[-1] == {"closed": 0}


def test_what_kafka_does_not_acknowledge_comes_back(monkeypatch: Any) -> None:
    """Of events sent together, exactly those that failed are returned."""

    class Choosy(Producer):
        def get(self, timeout: float) -> None:
            if self.sent.pop(0)["key"] == b"bad":
                raise KafkaTimeoutError("no")

    monkeypatch.setattr(kafka, "Producer", Choosy)
    event = MatrixBuilt("m", 1, 2)
    left = KafkaPublisher(SETTINGS, "x").publish_all([(event, "good"), (event, "bad"), (event, "good")])
    assert left == [(event, "bad")]


def test_a_producer_that_failed_is_left_for_a_new_one(monkeypatch: Any) -> None:
    """It may never send again, whatever Kafka does: it is closed, and the next events do not depend on it."""
    made: list[Producer] = []

    class Stuck(Producer):
        def __init__(self, **configuration: Any) -> None:
            super().__init__(**configuration)
            made.append(self)

        def get(self, timeout: float) -> None:
            if self is made[0]:
                raise KafkaTimeoutError("no answer")

    monkeypatch.setattr(kafka, "Producer", Stuck)
    publisher, event = KafkaPublisher(SETTINGS, "x"), MatrixBuilt("m", 1, 2)
    assert publisher.publish_all([(event, "k")]) == [(event, "k")]
    assert publisher.publish_all([(event, "k")]) == []
    assert publisher.publish_all([(event, "k")]) == []
    first, second = made
    assert first.sent[-1] == {"closed": 0}
    assert [record["topic"] for record in second.sent] == [MatrixBuilt.type] * 2


def test_a_producer_that_never_answers_costs_its_time_once(monkeypatch: Any) -> None:
    """A thousand events wait 15 seconds together, not one after another."""
    clock = [100.0]

    class Silent(Producer):
        def get(self, timeout: float) -> None:
            clock[0] += timeout
            raise KafkaTimeoutError("no answer")

    monkeypatch.setattr(kafka, "Producer", Silent)
    monkeypatch.setattr(kafka.time, "monotonic", lambda: clock[0])
    events = [(MatrixBuilt("m", number, 2), "k") for number in range(1_000)]
    assert KafkaPublisher(SETTINGS, "x").publish_all(events) == events
    assert clock[0] == 115


def test_what_comes_after_an_event_that_cannot_be_handed_over_waits_too(monkeypatch: Any) -> None:
    """Order is kept, and each would block as long as the first."""

    class Full(Producer):
        def send(self, topic: str, **record: Any) -> Producer:
            if len(self.sent) == 1:
                raise KafkaTimeoutError("no metadata")
            return super().send(topic, **record)

    monkeypatch.setattr(kafka, "Producer", Full)
    events = [(MatrixBuilt("m", number, 2), "k") for number in range(3)]
    assert KafkaPublisher(SETTINGS, "x").publish_all(events) == events[1:]


LARGE = ModelEvaluated("svd", "m", True, 2**20 * "x", None)


class Narrow(Producer):
    """Takes no more bytes than `most`: before it is handed over, or not before Kafka was asked."""

    most, at_once = 150_000, True
    made: ClassVar[list[Producer]] = []

    def __init__(self, **configuration: Any) -> None:
        super().__init__(**configuration)
        self.made.append(self)

    def send(self, topic: str, **record: Any) -> Producer:
        if len(record["value"]) <= self.most:
            return super().send(topic, **record)
        if self.at_once:
            raise MessageSizeTooLargeError("too large")
        return Refused()


class Refused(Producer):
    def get(self, timeout: float) -> None:
        raise MessageSizeTooLargeError("too large")


@pytest.fixture(params=[True, False])
def narrow(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[Narrow]:
    """What finds events too large, itself or by what Kafka says."""
    monkeypatch.setattr(Narrow, "at_once", request.param)
    monkeypatch.setattr(Narrow, "made", [])
    monkeypatch.setattr(kafka, "Producer", Narrow)
    return Narrow


def test_an_event_that_is_too_large_is_sent_cut_and_holds_up_no_other(narrow: type[Narrow]) -> None:
    """Nobody tries it for ever, and nobody takes what is left for the whole: it says how large it was."""
    before = telemetry.EVENTS_DROPPED._value.get()
    events: list[Keyed] = [(MatrixBuilt("m", 1, 2), "k"), (LARGE, "k"), (MatrixBuilt("m", 2, 2), "k")]
    assert KafkaPublisher(SETTINGS, "x").publish_all(events) == []
    sent = [record for each in narrow.made for record in each.sent if "value" in record]
    assert [record["topic"] for record in sent] == [MatrixBuilt.type, MatrixBuilt.type, ModelEvaluated.type]
    cut, whole = sent[-1], encode(LARGE)
    assert cut["value"] == whole[:100_000]
    assert dict(cut["headers"])["ce_cut"] == str(len(whole)).encode()
    assert not any("ce_cut" in dict(record["headers"]) for record in sent[:-1])
    with pytest.raises(BadEvent):
        decode(ModelEvaluated, cut["value"])
    assert telemetry.EVENTS_DROPPED._value.get() == before


def test_who_waits_for_an_event_that_is_too_large_goes_on(narrow: type[Narrow]) -> None:
    """It was taken, as far as that can be."""
    KafkaPublisher(SETTINGS, "x").publish(LARGE)


def test_an_event_that_is_too_large_even_cut_is_dropped_and_counted(
    narrow: type[Narrow], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a topic for which nearly everything is."""
    monkeypatch.setattr(narrow, "most", 1_000)
    before = telemetry.EVENTS_DROPPED._value.get()
    assert KafkaPublisher(SETTINGS, "x").publish_all([(LARGE, "k"), (MatrixBuilt("m", 1, 2), "k")]) == []
    assert telemetry.EVENTS_DROPPED._value.get() == before + 1


def test_a_silent_kafka_is_not_ready(monkeypatch: Any) -> None:
    """Publishing to nobody says: later."""

    def nobody(**_: Any) -> Producer:
        raise KafkaTimeoutError("no broker answers")

    monkeypatch.setattr(kafka, "Producer", nobody)
    with pytest.raises(NotReady):
        KafkaPublisher(SETTINGS, "x").publish(MatrixBuilt("m", 1, 2))


def test_the_background_publisher_outlives_an_outage_and_sends_nothing_twice() -> None:
    """What Kafka did not take, and only that, is sent again until it is taken."""

    class Flaky(MemoryPublisher):
        calls = 0

        def publish_all(self, keyed: Sequence[Keyed]) -> list[Keyed]:
            self.calls += 1
            if self.calls <= 2:
                return list(keyed)
            super().publish_all(keyed[:1])
            if len(self.events) == 3:
                done.set()
            return list(keyed[1:])

    done = threading.Event()
    flaky = Flaky()
    later = LaterPublisher(flaky)
    for number in range(3):
        later.publish(number, "k")
    assert done.wait(60)
    later.close()
    assert flaky.events == [0, 1, 2]


def test_an_event_that_cannot_be_sent_does_not_stop_the_others() -> None:
    """It is dropped and counted; whatever is wrong with it, the next one goes out."""

    class Picky(MemoryPublisher):
        def publish_all(self, keyed: Sequence[Keyed]) -> list[Keyed]:
            if any(event == "bad" for event, _ in keyed):
                refused.set()
                raise ValueError("cannot be encoded")
            return super().publish_all(keyed)

    refused = threading.Event()
    before = telemetry.EVENTS_DROPPED._value.get()
    picky = Picky()
    later = LaterPublisher(picky)
    later.publish("bad", "k")
    assert refused.wait(30)
    later.publish("good", "k")
    later.close()
    assert picky.events == ["good"]
    assert telemetry.EVENTS_DROPPED._value.get() == before + 1


def test_closing_sends_what_waits() -> None:
    """A function that is stopped loses no event that it has taken."""
    publisher = MemoryPublisher()
    later = LaterPublisher(publisher)
    for number in range(2_500):
        later.publish(number, "k")
    later.close()
    assert publisher.events == list(range(2_500))


def test_a_full_buffer_drops_and_counts() -> None:
    """Memory is bounded: what finds no room is counted, not kept."""

    class Stuck(MemoryPublisher):
        def publish_all(self, keyed: Sequence[Keyed]) -> list[Keyed]:
            entered.set()
            release.wait(30)
            return super().publish_all(keyed)

    entered, release = threading.Event(), threading.Event()
    stuck = Stuck()
    before = telemetry.EVENTS_DROPPED._value.get()
    later = LaterPublisher(stuck, capacity=1)
    later.publish(1, "k")
    entered.wait(30)
    later.publish(2, "k")
    later.publish(3, "k")
    release.set()
    later.close()
    assert stuck.events == [1, 2]
    assert telemetry.EVENTS_DROPPED._value.get() == before + 1


def test_what_is_left_at_the_end_is_counted() -> None:
    """Of five events Kafka took one; a publisher that is closed gives up what it still waits for."""

    class Away(MemoryPublisher):
        def publish_all(self, keyed: Sequence[Keyed]) -> list[Keyed]:
            if not self.events:
                return super().publish_all(keyed[:1]) + list(keyed[1:])
            taken.set()
            closed.wait(30)
            return list(keyed)

        def close(self) -> None:
            closed.set()

    taken, closed = threading.Event(), threading.Event()
    away = Away()
    before = telemetry.EVENTS_DROPPED._value.get()
    later = LaterPublisher(away)
    for number in range(5):
        later.publish(number, "k")
    assert taken.wait(30)
    later.close(timeout_seconds=0.1)
    assert away.events == [0]
    assert telemetry.EVENTS_DROPPED._value.get() == before + 4

import pytest

from shared.errors import BadEvent
from shared.events import PIPELINE, MatrixBuilt, ModelTrained, RecommendationServed, Tick, decode, encode


def test_an_event_comes_back_from_its_bytes() -> None:
    """What is encoded is decoded to the same event."""
    event = RecommendationServed("r", "12", 5, ("a", "b"), 1.5, "svd", "personal", "svd@1", "score-svd-1")
    assert decode(RecommendationServed, encode(event)) == event


def test_fields_of_newer_writers_are_ignored() -> None:
    """A field that this version does not know does not stop the stream."""
    assert decode(MatrixBuilt, b'{"matrix_id":"m","lake_version":1,"n_ratings":2,"new":true}').lake_version == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"12345",
        b"[" * 100_000,
        b'{"algorithm":"svd"}',
        b'{"algorithm":"als","model_version":"v","matrix_id":"m"}',
        b'{"algorithm":"svd","model_version":"","matrix_id":"m"}',
        b'{"algorithm":"svd","model_version":7,"matrix_id":"m"}',
        b'{"algorithm":"svd","model_version":"v","matrix_id":"\xff"}',
    ],
)
def test_a_payload_that_is_not_the_event_is_bad(data: bytes) -> None:
    """No crash and no half-read event: a BadEvent that says what is wrong."""
    with pytest.raises(BadEvent, match="not a ModelTrained"):
        decode(ModelTrained, data)


def test_numbers_that_json_cannot_hold_are_bad() -> None:
    """NaN and integers of five thousand digits are refused."""
    for number in (b"NaN", b"9" * 5000, b"-1"):
        with pytest.raises(BadEvent):
            decode(MatrixBuilt, b'{"matrix_id":"m","lake_version":' + number + b',"n_ratings":2}')


def test_a_tick_needs_no_fields() -> None:
    """A schedule's payload says nothing, and may say anything."""
    assert decode(Tick, b'{"whatever": 1}') == Tick()


def test_types_are_topics() -> None:
    """Each event of the pipeline has a topic of its own, named like nobody else's."""
    names = [event.type for event in PIPELINE]
    assert len(set(names)) == len(names)
    assert all(name.startswith("marquee.") for name in names)

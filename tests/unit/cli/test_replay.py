import gzip

import pytest
from kafka.errors import KafkaTimeoutError

from cli.replay import read_lines, replay, user_of
from cli.stream_commands import lines_of
from shared.errors import BadInput, NotReady
from shared.settings import Settings
from tests.fakes import ENVIRONMENT


def test_lines_come_without_their_breaks_from_plain_and_packed_files(tmp_path):
    """Windows line ends too; bytes that are no text stay as they are."""
    (tmp_path / "a.log").write_bytes(b"one\r\ntwo\n\xff\n\nlast")
    with gzip.open(tmp_path / "a.log.gz", "wb") as file:
        file.write(b"one\ntwo\n")
    assert list(read_lines(tmp_path / "a.log")) == [b"one", b"two", b"\xff", b"", b"last"]
    assert list(read_lines(tmp_path / "a.log.gz")) == [b"one", b"two"]


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    """Missing, or not what its name says."""
    (tmp_path / "b.gz").write_bytes(b"not gzip")
    for name in ("none.log", "b.gz"):
        with pytest.raises(BadInput, match=name):
            list(read_lines(tmp_path / name))


def test_a_user_s_lines_share_a_key():
    """The second of at least three fields; a line without one has no key."""
    assert user_of(b"2026-01-01T00:00:00,12,GET /rate/a=4") == b"12"
    assert user_of(b"hello, world") is None


def test_a_kafka_that_is_away_is_said_in_one_sentence(monkeypatch):
    """Where it should be, and that it is not there."""

    def nobody(**_):
        raise KafkaTimeoutError("no broker answers")

    monkeypatch.setattr("cli.replay.KafkaProducer", nobody)
    with pytest.raises(NotReady, match=r"Kafka at 127\.0\.0\.1:1"):
        replay([b"line"], Settings.from_env(ENVIRONMENT), "movielog")


def test_a_csv_of_ratings_becomes_log_lines_in_the_order_of_time(tmp_path):
    """Whatever the order of its rows: older ratings first, each after its user's account."""
    (tmp_path / "r.csv").write_text("user_id,movie_id,rating,timestamp\n2,b,4,1500000060\n1,a,3.5,1500000000\n")
    lines = [line.decode() for line in lines_of(tmp_path / "r.csv")]
    assert [line for line in lines if "rate" in line] == [
        "2017-07-14T02:40:00,1,GET /rate/a=3.5",
        "2017-07-14T02:41:00,2,GET /rate/b=4",
    ]


def test_ratings_without_times_are_refused_before_all_of_them_end_in_quarantine(tmp_path):
    """The message says which column is missing."""
    (tmp_path / "r.csv").write_text("user_id,movie_id,rating\n2,b,4\n")
    with pytest.raises(BadInput, match="timestamp"):
        list(lines_of(tmp_path / "r.csv"))

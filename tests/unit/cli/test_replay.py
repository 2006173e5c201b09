import gzip

import pytest

from cli.replay import read_lines, user_of
from shared.errors import BadInput


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

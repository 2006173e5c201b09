from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from shared.adapters import s3
from shared.errors import BadSettings, Conflict, NotFound, NotReady


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[s3.Bucket]:
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "test")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="marquee")
        yield s3.Bucket(client, "marquee")


def test_objects_are_put_listed_and_deleted(bucket: s3.Bucket) -> None:
    """What is put is found by prefix, in order; what is deleted is gone, and deleting it again is no error."""
    for key in ("x/2", "x/1", "y/1"):
        bucket.put(key, key.encode())
    assert bucket.keys("x/") == ["x/1", "x/2"]
    bucket.delete(["x/1", "x/1", "nothing"])
    assert bucket.keys("x/") == ["x/2"]
    with pytest.raises(NotFound):
        bucket.get("x/1")


def test_more_than_a_thousand_objects_are_deleted(bucket: s3.Bucket) -> None:
    """S3 takes a thousand names at a time; callers need not know."""
    names = [f"x/{number:04}" for number in range(1001)]
    for name in names:
        bucket.put(name, b"")
    bucket.delete(names)
    assert bucket.keys("x/") == []


def test_a_name_is_taken_once(bucket: s3.Bucket) -> None:
    """The second writer of other bytes loses; the same bytes again count as stored."""
    bucket.put_new("x", b"first")
    bucket.put_new("x", b"first")
    with pytest.raises(Conflict):
        bucket.put_new("x", b"second")
    assert bucket.get("x").data == b"first"


def test_replacing_needs_the_tag_of_what_stands(bucket: s3.Bucket) -> None:
    """Compare and swap: who read an older state is refused."""
    bucket.put("x", b"1")
    tag = bucket.get("x").tag
    bucket.put_if("x", b"2", tag)
    with pytest.raises(Conflict):
        bucket.put_if("x", b"3", tag)
    assert bucket.get("x").data == b"2"


def test_a_store_that_honours_conditions_is_accepted_and_left_clean(bucket: s3.Bucket) -> None:
    """The probe leaves nothing behind."""
    bucket.refuse_if_unconditional()
    assert bucket.keys("") == []


def test_a_store_that_ignores_conditions_is_refused(bucket: s3.Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a second writer wins, nothing here would be safe."""
    monkeypatch.setattr(s3.Bucket, "put_new", s3.Bucket.put)
    with pytest.raises(BadSettings, match="If-None-Match"):
        bucket.refuse_if_unconditional()


def test_a_store_that_ignores_tags_is_refused(bucket: s3.Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a stale state can be replaced, channels would lose updates."""
    monkeypatch.setattr(s3.Bucket, "put_if", lambda self, key, data, _: self.put(key, data))
    with pytest.raises(BadSettings, match="If-Match"):
        bucket.refuse_if_unconditional()


def test_a_store_that_is_away_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection means: come back later."""
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "test")
    with pytest.raises(NotReady):
        s3.Bucket(s3.client("http://127.0.0.1:1", {}), "b").get("x")


def test_a_missing_bucket_is_not_a_missing_object(bucket: s3.Bucket) -> None:
    """Only a missing key means that there is no such object; a missing bucket is a fault."""
    with pytest.raises(NotReady):
        s3.Bucket(bucket.s3, "nowhere").get("x")

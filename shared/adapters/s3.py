"""An S3 bucket as an object store: MinIO, SeaweedFS, AWS, or moto in unit tests."""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import BadSettings, Conflict, NotFound, NotReady
from shared.ports import Tagged

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MISSING: Final = {"NoSuchKey", "404", "NotFound"}
_CONDITION: Final = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_DELETE_AT_ONCE: Final = 1000


def client(endpoint: str, environment: Mapping[str, str]) -> "S3Client":
    """Return a client with short time-outs: a store that does not answer is a store that is down.

    The keys are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment, and AWS_CA_BUNDLE the certificates of a
    store's own authority; without them boto3 looks where it always does.
    """
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
        verify=environment.get("AWS_CA_BUNDLE"),
        config=Config(
            connect_timeout=2,
            read_timeout=10,
            retries={"max_attempts": 2, "mode": "standard"},
            max_pool_connections=32,
            request_checksum_calculation="when_required",  # some stores keep the trailer inside the object
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"},
        ),
    )


def delta_options(endpoint: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return what delta-rs needs to commit safely to an S3 store without a lock service.

    The keys are those of the environment; without them delta-rs looks where AWS's own clients do.
    """
    given = {name: environment[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if name in environment}
    return given | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_CONDITIONAL_PUT": "etag",
        "timeout": "20s",
        "connect_timeout": "2s",
    }


@dataclass(frozen=True)
class Bucket:
    """One bucket as an `ObjectStore`."""

    s3: "S3Client"
    name: str

    def get(self, key: str) -> Tagged:
        """Return the object and its ETag."""
        with _translated(key):
            answer = self.s3.get_object(Bucket=self.name, Key=key)
            return Tagged(answer["Body"].read(), answer["ETag"])

    def put(self, key: str, data: bytes) -> None:
        """Store the object."""
        with _translated(key):
            self.s3.put_object(Bucket=self.name, Key=key, Body=data)

    def put_new(self, key: str, data: bytes) -> None:
        """Store the object under a free name; its own bytes already there count as stored."""
        try:
            with _translated(key):
                self.s3.put_object(Bucket=self.name, Key=key, Body=data, IfNoneMatch="*")
        except Conflict:
            # A lost answer and the client's own retry look the same as another writer.
            if self.get(key).data != data:
                raise

    def put_if(self, key: str, data: bytes, tag: str) -> None:
        """Replace the object if its ETag is still this one; its own bytes already there count as stored."""
        try:
            with _translated(key):
                self.s3.put_object(Bucket=self.name, Key=key, Body=data, IfMatch=tag)
        except Conflict:
            if self.get(key).data != data:
                raise

    def keys(self, prefix: str) -> list[str]:
        """Return the names that begin with prefix, in order."""
        with _translated(prefix):
            pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
            return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects, a thousand at a time."""
        names = list(keys)
        for start in range(0, len(names), _DELETE_AT_ONCE):
            batch = names[start : start + _DELETE_AT_ONCE]
            with _translated(batch[0]):
                answer = self.s3.delete_objects(
                    Bucket=self.name, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
                )
            if answer.get("Errors"):
                raise NotReady(f"{len(answer['Errors'])} objects were not deleted: {answer['Errors'][0]}")

    def refuse_if_unconditional(self) -> None:
        """Prove that the store honours If-None-Match and If-Match, on which everything stands.

        Raises: BadSettings if it lets a second writer win; NotReady.
        """
        key = f"probe/{uuid.uuid4().hex}"
        try:
            self.put_new(key, b"first")
            stale = self.get(key).tag
            self.put(key, b"second")
            with suppress(Conflict):
                self.put_new(key, b"third")
                raise BadSettings(f"the store of bucket {self.name} ignores If-None-Match; Marquee is not safe on it")
            with suppress(Conflict):
                self.put_if(key, b"third", stale)
                raise BadSettings(f"the store of bucket {self.name} ignores If-Match; Marquee is not safe on it")
        finally:
            self.delete([key])


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _MISSING:
            raise NotFound(key) from error
        if code in _CONDITION or status in (409, 412):
            raise Conflict(key) from error
        raise NotReady(f"S3 answered {code or status} for {key}") from error
    except BotoCoreError as error:
        raise NotReady(f"S3 cannot be reached for {key}: {error}") from error

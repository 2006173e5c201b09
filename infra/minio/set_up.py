"""The bucket of a MinIO, its rules and its accounts: `python -m infra.minio.set_up ACCOUNTS`, as often as one likes.

ACCOUNTS is a folder with a folder for each account, where its Secret is mounted; S3_ENDPOINT, BUCKET,
MINIO_ROOT_USER and MINIO_ROOT_PASSWORD stand in the environment.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from minio.credentials.providers import StaticProvider
from minio.error import MinioException
from minio.minioadmin import MinioAdmin

from infra.minio.policies import policies
from shared.adapters.s3 import client
from shared.errors import BadSettings, MarqueeError, NotReady
from shared.keys import REFUSED

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import LifecycleRuleTypeDef

_NEEDED: Final = ("S3_ENDPOINT", "BUCKET", "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD")
_DAYS: Final = {REFUSED: 90, "probe/": 1}
"""After how many days objects go by themselves; what landed never does, as long as it is not in the lake."""


@dataclass(frozen=True)
class Key:
    """Who somebody is to the store, and the proof of it."""

    name: str
    secret: str = field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """Return it as functions are told of it, and as a Secret holds it."""
        return {"AWS_ACCESS_KEY_ID": self.name, "AWS_SECRET_ACCESS_KEY": self.secret}


def set_up(endpoint: str, bucket: str, root: Key, accounts: Mapping[str, Key]) -> None:
    """Make the bucket and its rules, and give each account its key and its policy.

    Raises: BadSettings if the bucket keeps versions, or an account has no policy; NotReady.
    """
    missing = accounts.keys() - policies().keys()
    if missing:
        raise BadSettings(f"there are no policies for {', '.join(sorted(missing))}")
    address = urlsplit(endpoint)
    admin = MinioAdmin(
        endpoint=address.netloc, credentials=StaticProvider(root.name, root.secret), secure=address.scheme == "https"
    )
    try:
        _make_bucket(client(endpoint, root.environment), bucket)
        for account, policy in policies().items():
            admin.policy_add(account, policy=policy)
        for account, key in accounts.items():
            admin.user_add(key.name, key.secret)
            admin.policy_set(account, user=key.name)
    except (BotoCoreError, ClientError, MinioException) as error:
        raise NotReady(f"the store at {endpoint}: {error}") from error


def _make_bucket(s3: "S3Client", bucket: str) -> None:
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=bucket)
    if s3.get_bucket_versioning(Bucket=bucket).get("Status"):
        raise BadSettings(f"bucket {bucket} keeps versions, in which users who were forgotten would live on")
    rules: list[LifecycleRuleTypeDef] = [
        {"ID": prefix, "Status": "Enabled", "Filter": {"Prefix": prefix}, "Expiration": {"Days": days}}
        for prefix, days in _DAYS.items()
    ]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def mounted(folder: Path) -> dict[str, Key]:
    """Return the accounts of the Secrets that are mounted in a folder. Raises: BadSettings."""
    try:
        return {
            each.name: Key(*((each / name).read_text() for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")))
            for each in folder.iterdir()
            if not each.name.startswith(".")  # how Kubernetes swaps what is mounted
        }
    except OSError as error:
        raise BadSettings(f"the Secrets of accounts: {error}") from error


def main(arguments: Sequence[str], told: Mapping[str, str]) -> None:
    """Set up what the environment names. Raises: BadSettings naming all that is missing; NotReady."""
    missing = [name for name in _NEEDED if not told.get(name)]
    if missing or len(arguments) != 1:
        raise BadSettings(f"needed are one folder of accounts, and {', '.join(missing or _NEEDED)} in the environment")
    endpoint, bucket, *root = (told[name] for name in _NEEDED)
    set_up(endpoint, bucket, Key(*root), mounted(Path(arguments[0])))


if __name__ == "__main__":
    try:
        main(sys.argv[1:], os.environ)
    except MarqueeError as error:
        sys.exit(f"error: {error}")

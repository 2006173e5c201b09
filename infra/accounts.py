"""The accounts of both stores, with secrets drawn: `python -m infra.accounts | kubectl -n marquee create -f -`.

That is done once; afterwards infra/minio's set-up and Strimzi give each account the secret that its function has.
"""

import secrets
import sys
from collections.abc import Iterable
from typing import Any, Final

import yaml
from pydantic import BaseModel, Field

from infra.kafka.accounts import accounts
from infra.minio.policies import policies
from infra.minio.set_up import Key

ADMINISTRATOR: Final = "root"
"""The account that makes all others of the S3 store."""


class Accounts(BaseModel):
    """The secret of each account, by store. It is never shown."""

    s3: dict[str, str] = Field(default={}, repr=False)
    kafka: dict[str, str] = Field(default={}, repr=False)

    def completed(self) -> "Accounts":
        """Return these, and new ones for accounts that have none yet."""
        return Accounts(
            s3=_drawn([ADMINISTRATOR, *policies()]) | self.s3,
            kafka=_drawn(each.name for each in accounts()) | self.kafka,
        )

    def key(self, account: str) -> Key:
        """Return the key of an account of the S3 store."""
        return Key(account, self.s3[account])

    def keys(self) -> dict[str, Key]:
        """Return the key of every function, and of who runs `marquee`."""
        return {account: self.key(account) for account in self.s3 if account != ADMINISTRATOR}

    def environment(self, account: str) -> dict[str, str]:
        """Return the variables of an account of Kafka."""
        return {"KAFKA_USERNAME": account, "KAFKA_PASSWORD": self.kafka[account]}

    def manifests(self) -> list[dict[str, Any]]:
        """Return the Secrets s3-<account> and kafka-<account>, and minio-root, without a namespace."""
        root = self.key(ADMINISTRATOR)
        return [
            _secret("minio-root", {"MINIO_ROOT_USER": root.name, "MINIO_ROOT_PASSWORD": root.secret}),
            *(_secret(f"s3-{account}", key.environment) for account, key in self.keys().items()),
            *(_secret(f"kafka-{account}", self.environment(account)) for account in self.kafka),
        ]


def _drawn(names: Iterable[str]) -> dict[str, str]:
    return {name: secrets.token_urlsafe(24) for name in names}


def _secret(name: str, told: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": told}


if __name__ == "__main__":
    yaml.safe_dump_all(Accounts().completed().manifests(), sys.stdout)

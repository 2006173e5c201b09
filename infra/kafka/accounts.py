"""The accounts of Kafka as the KafkaUsers beside this say, for a Kafka that no operator looks after."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

import yaml
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from pydantic import BaseModel

from shared.errors import NotReady

_USERS: Final = Path(__file__).with_name("users.yaml")


class Resource(BaseModel):
    """A topic or a group, by its whole name."""

    type: Literal["topic", "group"]
    name: str


class Rule(BaseModel):
    """What may be done with a resource."""

    resource: Resource
    operations: list[Literal["Read", "Write", "Describe"]]


class Account(NamedTuple):
    """An account and all that it may do."""

    name: str
    rules: list[Rule]


class _Authorization(BaseModel):
    acls: list[Rule]


class _Spec(BaseModel):
    authorization: _Authorization


def accounts() -> list[Account]:
    """Return every account of the manifest."""
    documents = yaml.safe_load_all(_USERS.read_text())
    return [
        Account(each["metadata"]["name"], _Spec.model_validate(each["spec"]).authorization.acls) for each in documents
    ]


def create(admin: KafkaAdminClient, passwords: Mapping[str, str]) -> None:
    """Give each account its password, and what it may do. Raises: NotReady naming what Kafka refused."""
    credentials = [
        UserScramCredentialUpsertion(each.name, ScramMechanism.SCRAM_SHA_512, passwords[each.name])
        for each in accounts()
    ]
    refused = {name: error for name, error in admin.alter_user_scram_credentials(credentials).items() if error}
    failed = admin.create_acls([acl for each in accounts() for acl in _acls(each)])["failed"]
    if refused or failed:
        raise NotReady(f"Kafka refused accounts {refused} and rules {failed}")


def _acls(account: Account) -> list[ACL]:
    return [
        ACL(
            f"User:{account.name}",
            "*",
            ACLOperation[operation.upper()],
            ACLPermissionType.ALLOW,
            ResourcePattern(ResourceType[rule.resource.type.upper()], rule.resource.name),
        )
        for rule in account.rules
        for operation in rule.operations
    ]

"""Which Marquee the commands speak to: that of this machine, unless the environment names another."""

import os
from typing import Final, Literal

from infra.local.machine import Machine
from infra.local.ports import is_taken, refuse_taken
from infra.local.stack import Stack
from shared.errors import NotReady

Store = Literal["S3_ENDPOINT", "KAFKA_BOOTSTRAP"]

_PROCESSES: Final[dict[Store, str]] = {"S3_ENDPOINT": "s3", "KAFKA_BOOTSTRAP": "kafka"}


def environment(*needed: Store) -> dict[str, str]:
    """Return where Kafka and the bucket are: those of this machine, unless the environment says otherwise.

    Of the settings, those of this shell go before those that the machine was started with. The key of this machine is
    for its own bucket. Raises: BadSettings; BadInput if this machine's ports are taken by somebody else, who would be
    the one to obey; NotReady, at once, if it is this machine's store that is needed, by default the bucket, and nobody
    is there.
    """
    machine = Machine.from_env()
    here = machine.environment
    stack = Stack(machine)
    is_up = is_one_machine() and stack.is_up
    if "S3_ENDPOINT" not in os.environ and not is_up:
        refuse_taken(
            {machine.port(name): f"Marquee in {machine.home}" for name in ("s3", "kafka")},
            "to speak to that one, name its MARQUEE_HOME and MARQUEE_PORT_OFFSET; to start this one: marquee up",
        )
    for name in needed or ("S3_ENDPOINT",):
        if name not in os.environ and not is_taken(machine.port(_PROCESSES[name])):
            raise NotReady(f"nobody answers at {here[name]}, where {_PROCESSES[name]} of {machine.home} would be")
    if not is_one_machine():
        here.pop("SIGNING_KEY_FILE", None)
    return here | (stack.started_with if is_up else {}) | dict(os.environ)


def is_one_machine() -> bool:
    """Say whether the commands speak to this machine's Marquee, and to no other bucket. Raises: BadSettings."""
    return os.environ.get("S3_ENDPOINT") in (None, Machine.from_env().url("s3"))

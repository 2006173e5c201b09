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

    The key of this machine is for its own bucket. Raises: BadSettings; BadInput if this machine's ports are taken by
    somebody else, who would be the one to obey; NotReady, at once, if it is this machine's store that is needed, by
    default the bucket, and nobody is there.
    """
    machine = Machine.from_env()
    here = machine.environment
    bucket = os.environ.get("S3_ENDPOINT")
    if bucket is None and not Stack(machine).is_up:
        refuse_taken(
            {machine.port(name): f"Marquee in {machine.home}" for name in ("s3", "kafka")},
            "to speak to that one, name its MARQUEE_HOME and MARQUEE_PORT_OFFSET; to start this one: marquee up",
        )
    for name in needed or ("S3_ENDPOINT",):
        if name not in os.environ and not is_taken(machine.port(_PROCESSES[name])):
            raise NotReady(f"nobody answers at {here[name]}, where {_PROCESSES[name]} of {machine.home} would be")
    if bucket not in (None, here["S3_ENDPOINT"]):
        here.pop("SIGNING_KEY_FILE", None)
    return here | dict(os.environ)

"""Which Marquee the commands speak to: that of this machine, unless the environment names another."""

import os

from infra.local.machine import Machine
from infra.local.ports import refuse_taken
from infra.local.stack import Stack


def environment() -> dict[str, str]:
    """Return where Kafka and the bucket are: those of this machine, unless the environment says otherwise.

    Of the settings, those of this shell go before those that the machine was started with. The key of this machine is
    for its own bucket. Raises: BadSettings; BadInput if this machine's ports are taken by
    somebody else, who would be the one to obey.
    """
    machine = Machine.from_env()
    here = machine.environment
    bucket = os.environ.get("S3_ENDPOINT")
    stack = Stack(machine)
    is_up = is_one_machine() and stack.is_up
    if bucket is None and not is_up:
        refuse_taken(
            {machine.port(name): f"Marquee in {machine.home}" for name in ("s3", "kafka")},
            "to speak to that one, name its MARQUEE_HOME and MARQUEE_PORT_OFFSET; to start this one: marquee up",
        )
    if not is_one_machine():
        here.pop("SIGNING_KEY_FILE", None)
    return here | (stack.started_with if is_up else {}) | dict(os.environ)


def is_one_machine() -> bool:
    """Say whether the commands speak to this machine's Marquee, and to no other bucket. Raises: BadSettings."""
    return os.environ.get("S3_ENDPOINT") in (None, Machine.from_env().url("s3"))

"""A Kafka on this machine that asks for accounts, as the one that Strimzi runs does."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.authority import Authority
from infra.local.parts import kafka_command
from infra.local.provision import ONE_KAFKA, format_kafka

_LISTENERS: Final = """\
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=ACCOUNTS://{address}:{port},HOST://127.0.0.1:{host_port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=ACCOUNTS://{name}:{port},HOST://127.0.0.1:{host_port}
listener.security.protocol.map=ACCOUNTS:SASL_SSL,HOST:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=HOST
listener.name.accounts.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.accounts.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.accounts.ssl.keystore.type=PEM
listener.name.accounts.ssl.keystore.location={keystore}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
log.dirs={data}
"""
"""Whoever is on the loopback needs no account and may do everything; nobody else may do what no rule allows."""


@dataclass(frozen=True)
class Listeners:
    """Where it listens: at an address for accounts, who call it `name` there, and on the loopback for the host."""

    address: str
    name: str
    port: int
    host_port: int
    controller_port: int


def prepare(folder: Path, listeners: Listeners, authority: Authority) -> list[str]:
    """Make all that Kafka needs in a folder, and return what starts it.

    Raises: BadInput if the folder cannot be formatted; NotReady.
    """
    data, properties, keystore = folder / "kafka", folder / "kafka.properties", folder / "kafka.pem"
    data.mkdir(parents=True, exist_ok=True)
    names = [f"DNS:{listeners.name}", f"IP:{listeners.address}"]
    key, certificate = authority.issue("kafka", f"/CN={listeners.name}", names)
    keystore.touch(mode=0o600)
    keystore.write_text(key.read_text() + certificate.read_text())
    properties.write_text(ONE_KAFKA + _LISTENERS.format(**vars(listeners), keystore=keystore, data=data))
    format_kafka(properties, data)
    return kafka_command(properties)

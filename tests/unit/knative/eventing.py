"""The sources as Knative Eventing takes them: those of the local event source, and how Kafka is reached.

Knative's own schema of KafkaSource takes anything; this one takes what its Go types know and we use.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from infra.local.event_source import config


class Model(config.Model):
    model_config = ConfigDict(alias_generator=to_camel)


class Metadata(config.Metadata):
    namespace: Literal["marquee"]
    labels: dict[str, str]


class Key(Model):
    name: str
    key: str


class Secret(Model):
    secret_key_ref: Key


class Sasl(Model):
    enable: Literal[True]
    type: Secret
    user: Secret
    password: Secret


class Tls(Model):
    enable: Literal[True]
    ca_cert: Secret


class Net(Model):
    sasl: Sasl
    tls: Tls


class KafkaSourceSpec(config.KafkaSourceSpec):
    bootstrap_servers: Annotated[list[str], Field(alias="bootstrapServers", min_length=1)]
    consumers: Annotated[int, Field(gt=0)] = 1
    net: Net


class KafkaSource(config.KafkaSource):
    metadata: Metadata
    spec: KafkaSourceSpec


class PingSource(config.PingSource):
    metadata: Metadata


class Reference(Model):
    name: str


class AuthSecret(Model):
    ref: Reference


class Auth(Model):
    secret: AuthSecret


class KafkaSinkSpec(config.KafkaSinkSpec):
    bootstrap_servers: Annotated[list[str], Field(alias="bootstrapServers", min_length=1)]
    content_mode: Annotated[Literal["binary"], Field(alias="contentMode")]
    auth: Auth


class KafkaSink(config.KafkaSink):
    metadata: Metadata
    spec: KafkaSinkSpec


KINDS = {"KafkaSource", "PingSource", "KafkaSink"}
_ANY: TypeAdapter[object] = TypeAdapter(Annotated[KafkaSource | PingSource | KafkaSink, Field(discriminator="kind")])


def check(document: dict[str, object]) -> list[str]:
    """Return the problems of a source or sink."""
    try:
        _ANY.validate_python(document)
    except ValidationError as error:
        return [str(error)]
    return []

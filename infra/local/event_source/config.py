"""The sources, in the shape of Knative's own resources, so that one reads like the other."""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from shared.errors import BadSettings

NAMESPACE: Final = "marquee"

_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")


class Model(BaseModel):
    """Refuses keys it does not know: a misspelt `retries` must not pass for none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Metadata(Model):
    """The name of a resource."""

    name: str


class KafkaSinkReference(Model):
    """A topic to put dead letters on, by the name of its KafkaSink."""

    kind: Literal["KafkaSink"]
    name: str


class Sink(Model):
    """Where events go: a URI, or a KafkaSink."""

    uri: str | None = None
    ref: KafkaSinkReference | None = None


class Delivery(Model):
    """How often to try again, how long to wait, and who gets what could not be delivered."""

    retry: Annotated[int, Field(ge=0)]
    backoff_policy: Annotated[Literal["exponential"], Field(alias="backoffPolicy")]
    backoff_delay: Annotated[timedelta, Field(alias="backoffDelay")]
    timeout: timedelta
    dead_letter_sink: Annotated[Sink, Field(alias="deadLetterSink")]


class KafkaSourceSpec(Model):
    """Which records of which topic go where."""

    consumer_group: Annotated[str, Field(alias="consumerGroup")]
    topics: Annotated[list[str], Field(min_length=1)]
    initial_offset: Annotated[Literal["earliest", "latest"], Field(alias="initialOffset")]
    ordering: Literal["ordered", "unordered"]
    delivery: Delivery
    sink: Sink


class PingSourceSpec(Model):
    """When to tick, by a cron expression that may begin with seconds, and who hears it."""

    schedule: str
    content_type: Annotated[str, Field(alias="contentType")] = "application/json"
    data: str = "{}"
    sink: Sink


class KafkaSinkSpec(Model):
    """The topic of a sink."""

    topic: str


class KafkaSource(Model):
    """Records in, CloudEvents out."""

    kind: Literal["KafkaSource"]
    metadata: Metadata
    spec: KafkaSourceSpec

    def source_of(self, topic: str) -> str:
        """Return the CloudEvents source of a topic's records."""
        return f"/apis/v1/namespaces/{NAMESPACE}/kafkasources/{self.metadata.name}#{topic}"


class PingSource(Model):
    """Time in, CloudEvents out."""

    kind: Literal["PingSource"]
    metadata: Metadata
    spec: PingSourceSpec


class KafkaSink(Model):
    """CloudEvents in, records out."""

    kind: Literal["KafkaSink"]
    metadata: Metadata
    spec: KafkaSinkSpec


Resource = Annotated[KafkaSource | PingSource | KafkaSink, Field(discriminator="kind")]


class Sources(BaseModel):
    """All resources of a file."""

    kafka: list[KafkaSource]
    pings: list[PingSource]
    sink_topics: dict[str, str]


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Sources:
    """Return the resources of a YAML file, with each `${NAME}` replaced from the environment.

    Raises: BadSettings naming what is missing or wrong.
    """
    try:
        text = _VARIABLE.sub(lambda found: environment[found[1]], path.read_text())
        documents: list[Any] = list(yaml.safe_load_all(text))
        resources = TypeAdapter(list[Resource]).validate_python(documents)
    except KeyError as error:
        raise BadSettings(f"{path}: the environment has no {error.args[0]}") from None
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise BadSettings(f"{path}: {'; '.join(wrong)}") from None
    sources = Sources(
        kafka=[each for each in resources if isinstance(each, KafkaSource)],
        pings=[each for each in resources if isinstance(each, PingSource)],
        sink_topics={each.metadata.name: each.spec.topic for each in resources if isinstance(each, KafkaSink)},
    )
    for source in sources.kafka:
        reference = source.spec.delivery.dead_letter_sink.ref
        if reference and reference.name not in sources.sink_topics:
            raise BadSettings(f"{path}: {source.metadata.name}: no KafkaSink is named {reference.name!r}")
    return sources

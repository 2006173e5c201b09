"""The sources, as Knative's own resources: one file is read by a cluster's Knative and by the local event source."""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from shared.errors import BadSettings

NAMESPACE: Final = "marquee"


class Model(BaseModel):
    """Refuses keys it does not know: a misspelt `retries` must not pass for none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Metadata(Model):
    """The name of a resource."""

    name: str


class KafkaSinkReference(Model):
    """A topic to put dead letters on, by the name of its KafkaSink."""

    api_version: Annotated[Literal["eventing.knative.dev/v1alpha1"], Field(alias="apiVersion")]
    kind: Literal["KafkaSink"]
    name: str


class ServiceReference(Model):
    """A function, by the name of its Knative Service."""

    api_version: Annotated[Literal["serving.knative.dev/v1"], Field(alias="apiVersion")]
    kind: Literal["Service"]
    name: str


class Sink(Model):
    """Where events go: a URI; a function, at the path that the URI then is; or a KafkaSink."""

    uri: str | None = None
    ref: Annotated[ServiceReference | KafkaSinkReference, Field(discriminator="kind")] | None = None


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
    content_type: Annotated[str, Field(alias="contentType")]
    data: str
    sink: Sink


class KafkaSinkSpec(Model):
    """The topic of a sink."""

    topic: str


class KafkaSource(Model):
    """Records in, CloudEvents out."""

    api_version: Annotated[Literal["sources.knative.dev/v1"], Field(alias="apiVersion")]
    kind: Literal["KafkaSource"]
    metadata: Metadata
    spec: KafkaSourceSpec

    def source_of(self, topic: str) -> str:
        """Return the CloudEvents source of a topic's records."""
        return f"/apis/v1/namespaces/{NAMESPACE}/kafkasources/{self.metadata.name}#{topic}"


class PingSource(Model):
    """Time in, CloudEvents out."""

    api_version: Annotated[Literal["sources.knative.dev/v1"], Field(alias="apiVersion")]
    kind: Literal["PingSource"]
    metadata: Metadata
    spec: PingSourceSpec


class KafkaSink(Model):
    """CloudEvents in, records out."""

    api_version: Annotated[Literal["eventing.knative.dev/v1alpha1"], Field(alias="apiVersion")]
    kind: Literal["KafkaSink"]
    metadata: Metadata
    spec: KafkaSinkSpec


Resource = Annotated[KafkaSource | PingSource | KafkaSink, Field(discriminator="kind")]


Source = TypeVar("Source", KafkaSource, PingSource)


class Sources(BaseModel):
    """All resources of a file."""

    kafka: list[KafkaSource]
    pings: list[PingSource]
    sink_topics: dict[str, str]


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Sources:
    """Return the resources of a YAML file, each function as its address: that of `fold-lake` is FOLD_LAKE_URL.

    Raises: BadSettings naming what is missing or wrong.
    """
    try:
        documents: list[Any] = list(yaml.safe_load_all(path.read_text()))
        resources = TypeAdapter(list[Resource]).validate_python(documents)
        kafka = [_addressed(each, environment) for each in resources if isinstance(each, KafkaSource)]
        pings = [_addressed(each, environment) for each in resources if isinstance(each, PingSource)]
    except KeyError as error:
        raise BadSettings(f"{path}: the environment has no {error.args[0]}") from None
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise BadSettings(f"{path}: {'; '.join(wrong)}") from None
    topics = {each.metadata.name: each.spec.topic for each in resources if isinstance(each, KafkaSink)}
    for source in kafka:
        reference = source.spec.delivery.dead_letter_sink.ref
        if reference and reference.name not in topics:
            raise BadSettings(f"{path}: {source.metadata.name}: no KafkaSink is named {reference.name!r}")
    return Sources(kafka=kafka, pings=pings, sink_topics=topics)


def _addressed(source: Source, environment: Mapping[str, str]) -> Source:
    """Return the source with its function's address, as Knative resolves it. Raises: KeyError if it has none."""
    sink = source.spec.sink
    if not isinstance(sink.ref, ServiceReference):
        return source
    address = environment[f"{sink.ref.name.replace('-', '_').upper()}_URL"] + (sink.uri or "")
    return source.model_copy(update={"spec": source.spec.model_copy(update={"sink": Sink(uri=address)})})

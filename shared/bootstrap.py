"""Builds what the functions need from settings: the one place where ports meet adapters."""

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from shared import keys
from shared.adapters import envoy, knative, kubernetes, s3
from shared.adapters.apart import CommitsApart
from shared.adapters.kafka_connection import connection
from shared.adapters.web import web
from shared.artifacts import ArtifactStore, Manifest, libraries
from shared.channels import Channels
from shared.errors import BadSettings
from shared.ports import Commits, Lake, Log, ObjectStore, Publisher, Revisions, Traffic
from shared.settings import Settings
from shared.signing import Signer, Verifier

if TYPE_CHECKING:
    from shared.adapters.kafka import KafkaPublisher
    from shared.adapters.lake import DeltaLake


@dataclass(frozen=True)
class Deps:
    """Everything outside a function that it may touch.

    `signer` vouches for what it stores, `verifier` says whose models are taken, `judge` whose decisions are followed.
    """

    settings: Settings
    objects: ObjectStore
    open_lake: Callable[[], Lake]
    open_commits: Callable[[], Commits]
    open_publisher: Callable[[], Publisher]
    log: Log
    now: Callable[[], datetime]
    environment: Mapping[str, str] = field(repr=False)  # it holds keys and passwords
    signer: Signer | None = field(default=None, repr=False)
    verifier: Verifier | None = field(default=None, repr=False)
    judge: Verifier | None = field(default=None, repr=False)

    @cached_property
    def lake(self) -> Lake:
        """The lake, opened by the functions that use it."""
        return self.open_lake()

    @cached_property
    def publisher(self) -> Publisher:
        """The way to the other functions, for those that tell them anything."""
        return self.open_publisher()

    @property
    def artifacts(self) -> ArtifactStore:
        """The immutable artifacts of the bucket."""
        return ArtifactStore(self.objects, self.signer, self.verifier)

    @property
    def channels(self) -> Channels:
        """The mutable state of the services."""
        return Channels(self.objects)

    def now_us(self) -> int:
        """Return this moment in microseconds since 1970, UTC."""
        return round(self.now().timestamp() * 1e6)

    def manifest(self, **facts: Any) -> Manifest:
        """Return a manifest with the facts given and those of this moment and machine."""
        return Manifest(
            created_at=self.now().isoformat(),
            git_commit=self.environment.get("GIT_COMMIT", "unknown"),
            image_digest=self.environment.get("IMAGE_DIGEST", "unknown"),
            python=platform.python_version(),
            libraries=libraries(),
            **facts,
        )


def build(function: str, environment: Mapping[str, str] = os.environ, *, writes: bool = True) -> Deps:
    """Connect a function to its bucket, lake and Kafka; one that only reads may start while the bucket is away.

    Raises: BadSettings naming every wrong key, or a store that ignores conditional writes, or, as whoever writes tells
    of it, an account for Kafka that is missing; NotReady.
    """
    settings = Settings.from_env(environment)
    signer, verifier, judge = signatures(settings)
    bucket = s3.Bucket(s3.client(settings.s3_endpoint, environment), settings.bucket)
    if writes:
        bucket.refuse_if_unconditional()
        connection(settings)
    return Deps(
        settings=settings,
        objects=bucket,
        open_lake=lambda: lake(settings, environment),
        open_commits=lambda: commits(settings, environment),
        open_publisher=lambda: publisher(settings, function),
        log=structlog.get_logger(function=function),
        now=lambda: datetime.now(UTC),
        environment=environment,
        signer=signer,
        verifier=verifier,
        judge=judge,
    )


def signatures(settings: Settings) -> tuple[Signer | None, Verifier | None, Verifier | None]:
    """Return who signs, whose models are taken and whose decisions are followed.

    Those whose models are taken decide too, if nobody else is named; who signs and is told of nobody trusts itself.

    Raises: BadSettings if a file is missing or holds no key.
    """
    signer = Signer.from_pem(_key(settings.signing_key_file)) if settings.signing_key_file else None
    own = signer.verifier if signer else None
    models = Verifier.from_pem(_key(settings.verify_key_file)) if settings.verify_key_file else own
    if settings.verify_decisions_file:
        return signer, models, Verifier.from_pem(_key(settings.verify_decisions_file))
    return signer, models, models


def _key(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"a key file cannot be read: {error}") from None


def publisher(settings: Settings, function: str) -> "KafkaPublisher":
    """Return the way to Kafka. Its client is imported here: `score` tells nobody anything, and starts sooner."""
    from shared.adapters.kafka import KafkaPublisher

    return KafkaPublisher(settings, function)


def traffic(settings: Settings, environment: Mapping[str, str]) -> Traffic | None:
    """Return the router's own word on where requests go; None if there is no router to ask. Raises: BadSettings."""
    if settings.router == "envoy":
        return envoy.EnvoyTraffic(web(), settings.router_url)
    if settings.router == "knative":
        return _knative(settings, environment)
    return None


def revisions(settings: Settings, environment: Mapping[str, str]) -> Revisions:
    """Return the way to deploy models: Knative's API, of the pod or at KUBERNETES_URL. Raises: BadSettings."""
    return _knative(settings, environment)


def _knative(settings: Settings, environment: Mapping[str, str]) -> knative.KnativeServices:
    return knative.KnativeServices(kubernetes.api(settings.kubernetes_url, environment))


def lake(settings: Settings, environment: Mapping[str, str]) -> "DeltaLake":
    """Return the lake of the bucket. delta-rs is not in the serving images, so it is imported here."""
    from shared.adapters.lake import DeltaLake

    return DeltaLake.in_bucket(settings.bucket, s3.delta_options(settings.s3_endpoint, environment))


def commits(settings: Settings, environment: Mapping[str, str]) -> CommitsApart:
    """Return what is committed to the lake of the bucket, for those who only follow it, and must answer meanwhile."""
    return CommitsApart(f"s3://{settings.bucket}/{keys.LAKE}", s3.delta_options(settings.s3_endpoint, environment))

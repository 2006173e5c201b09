"""Kafka and MinIO as the local cluster has them, here on the loopback: TLS, accounts, and what each may do."""

import dataclasses
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from cli import backfill
from cli.replay import replay
from infra.cluster.stores import Stores
from infra.kafka.accounts import Rule, accounts
from infra.local.machine import DEAD_LETTERS, ROOT, TOPICS
from shared import bootstrap
from shared.adapters.kafka import KafkaPublisher
from shared.adapters.kafka_connection import connection
from shared.errors import NotReady
from shared.events import MOVIELOG, EventsLanded, LakeFolded
from shared.settings import Settings
from tests.integration.conftest import wait
from tests.integration.test_event_source import Sink, free_port, sink

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cluster,
    # kafka-python leaves sockets to the garbage collector when it cannot connect.
    pytest.mark.filterwarnings("ignore:.*unclosed.*:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*socket.*:pytest.PytestUnraisableExceptionWarning"),
]

__all__ = ["sink"]

ACCOUNTS = {each.name: each for each in accounts()}
LINE = b"2026-11-22T10:00:00,12,GET /rate/toy+story+1995=4"

SOURCES = """
apiVersion: sources.knative.dev/v1
kind: KafkaSource
metadata: {name: movielog}
spec:
  consumerGroup: marquee-movielog
  topics: [movielog]
  initialOffset: earliest
  ordering: unordered
  sink: {uri: "SINK/sink"}
  delivery:
    retry: 0
    backoffPolicy: exponential
    backoffDelay: PT0.05S
    timeout: PT5S
    deadLetterSink: {ref: {apiVersion: eventing.knative.dev/v1alpha1, kind: KafkaSink, name: deadletter}}
---
apiVersion: eventing.knative.dev/v1alpha1
kind: KafkaSink
metadata: {name: deadletter}
spec: {topic: marquee.deadletter}
"""


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    ports = [free_port() for _ in range(4)]
    running = Stores(tmp_path_factory.mktemp("stores"), "127.0.0.1", "localhost", *ports)
    running.up()
    try:
        yield running
    finally:
        running.down()


def settings(stores: Stores, account: str, **changed: str) -> Settings:
    return Settings.from_env(stores.environment(account) | changed)


def producer(of: Settings, **more: object) -> "closing[KafkaProducer]":
    quick = {"bootstrap_timeout_ms": 5_000, "max_block_ms": 5_000}
    return closing(KafkaProducer(**connection(of), acks="all", **quick, **more))


def writable(stores: Stores, account: str) -> set[str]:
    """Return the topics that take a record of an account."""
    # An idempotent producer that was refused once sends nothing any more.
    with producer(settings(stores, account), enable_idempotence=False) as sending:
        return {topic for topic in TOPICS if takes(sending, topic)}


def takes(sending: KafkaProducer, topic: str) -> bool:
    try:
        sending.send(topic, b"x").get(10)
    except TopicAuthorizationFailedError:
        return False
    return True


def readable(stores: Stores, account: str) -> set[str]:
    """Return the topics that give an account a record; there is one in each."""
    with closing(KafkaProducer(bootstrap_servers=stores.host_bootstrap)) as host:
        for topic in TOPICS:
            host.send(topic, b"x", partition=0).get(10)
    return {topic for topic in TOPICS if gives(settings(stores, account), topic)}


def gives(of: Settings, topic: str) -> bool:
    consumer = KafkaConsumer(**connection(of), enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        consumer.assign([TopicPartition(topic, 0)])
        return any(consumer.poll(timeout_ms=1_000) for _ in range(2))
    except TopicAuthorizationFailedError:
        return False
    finally:
        consumer.close(autocommit=False)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_account_may_write_its_topics_and_no_other(stores: Stores, account: str) -> None:
    """What the manifest says, the broker does."""
    assert writable(stores, account) == allowed(ACCOUNTS[account].rules, "Write")


@pytest.mark.parametrize("account", ["event-source", "operator", "ingest"])
def test_an_account_may_read_its_topics_and_no_other(stores: Stores, account: str) -> None:
    """A function reads nothing from Kafka."""
    assert readable(stores, account) == allowed(ACCOUNTS[account].rules, "Read")


def allowed(rules: list[Rule], operation: str) -> set[str]:
    return {each.resource.name for each in rules if each.resource.type == "topic" and operation in each.operations}


@pytest.mark.parametrize("wrong", [{"KAFKA_PASSWORD": "guessed"}, {"KAFKA_USERNAME": "nobody"}])
def test_who_cannot_prove_it_is_nobody(stores: Stores, wrong: dict[str, str]) -> None:
    """A wrong password and an unknown name look alike: the client tries until its time is over."""
    with pytest.raises(KafkaError), producer(settings(stores, "ingest", **wrong)) as sending:
        sending.send("marquee.events.landed", b"x").get(10)


def test_a_broker_that_the_authority_does_not_vouch_for_gets_no_password(stores: Stores, tmp_path: Path) -> None:
    """Another authority in the settings, and the connection ends before the account is told."""
    other = dataclasses.replace(stores, folder=tmp_path)
    changed = settings(stores, "ingest", KAFKA_CA_FILE=str(other.authority.certificate))
    with pytest.raises(NotReady):
        KafkaPublisher(changed, "ingest").publish(EventsLanded("landing/x.parquet", 1))


def test_an_account_is_no_use_without_tls(stores: Stores) -> None:
    """The port for accounts answers nothing in the clear."""
    in_the_clear = settings(stores, "ingest", KAFKA_SECURITY_PROTOCOL="PLAINTEXT")
    with pytest.raises(NotReady):
        KafkaPublisher(in_the_clear, "ingest").publish(EventsLanded("landing/x.parquet", 1))


def test_a_function_publishes_and_no_log_has_its_password(stores: Stores, caplog: pytest.LogCaptureFixture) -> None:
    """Not even at the level at which the client tells everything; what it may not publish is refused."""
    caplog.set_level(logging.DEBUG)
    publisher = KafkaPublisher(settings(stores, "ingest"), "ingest")
    publisher.publish(EventsLanded("landing/x.parquet", 1))
    with pytest.raises(NotReady):
        publisher.publish(LakeFolded(1, 1))
    publisher.close()
    shown = caplog.text + repr(publisher) + repr(stores) + repr(stores.accounts)
    assert stores.accounts.kafka["ingest"] not in shown


def test_the_event_source_delivers_with_its_account_and_keeps_dead_letters(
    stores: Stores, sink: Sink, tmp_path: Path
) -> None:
    """Over TLS as in the clear: what the site wrote comes, what is refused goes to the dead letters."""
    assert replay([b"S204", b"S400"], settings(stores, "site"), MOVIELOG) == 2
    path = tmp_path / "sources.yaml"
    path.write_text(SOURCES.replace("SINK/", f"http://127.0.0.1:{sink.server_port}/"))
    told = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    dead = TopicPartition(DEAD_LETTERS, 0)
    consumer = KafkaConsumer(bootstrap_servers=stores.host_bootstrap)
    before = consumer.end_offsets([dead])[dead]
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local.event_source", str(path), "--port", str(free_port())],
        cwd=ROOT,
        env=stores.environment("event-source") | told,
        stdout=subprocess.DEVNULL,
    )
    try:
        wait(lambda: {b"S204", b"S400"} <= {sent.body for _, sent in sink.requests}, 60, "both records")
        wait(lambda: consumer.end_offsets([dead])[dead] > before, 20, "the dead letter")
    finally:
        consumer.close(autocommit=False)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_group_belongs_to_the_sources(stores: Stores) -> None:
    """Who runs `marquee` reads without one, and cannot take partitions from them."""
    consumer = KafkaConsumer(MOVIELOG, **connection(settings(stores, "operator")), group_id="marquee-movielog")
    try:
        with pytest.raises(GroupAuthorizationFailedError):
            consumer.poll(timeout_ms=10_000)
    finally:
        consumer.close(autocommit=False)


def test_who_runs_marquee_replays_and_backfills_with_an_account(stores: Stores) -> None:
    """Lines go in, rows come out, into the bucket that MinIO holds."""
    environment = {**os.environ, **stores.environment("operator")}
    assert replay([LINE] * 10, Settings.from_env(environment), MOVIELOG) == 10
    assert backfill.backfill(MOVIELOG, backfill.plan(MOVIELOG, environment), environment) >= 10
    assert bootstrap.lake(Settings.from_env(environment), environment).counts()["rating"] >= 10


def test_secrets_hold_what_functions_are_told(stores: Stores) -> None:
    """For each account the two variables of each store, and for all the authority."""
    manifests = {each["metadata"]["name"]: each for each in stores.manifests()}
    told = stores.environment("ingest")
    for name in ("s3-ingest", "kafka-ingest"):
        assert manifests[name]["stringData"].items() <= told.items()
    assert manifests["kafka-ca"]["data"]["ca.crt"] == Path(told["KAFKA_CA_FILE"]).read_text()
    assert "kafka-score" not in manifests
    assert set(stores.environment("score")) >= {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    Settings.from_env(stores.environment("score"))


def test_up_again_nothing_changes_and_down_and_up_all_is_there(stores: Stores) -> None:
    """Whoever was given a password keeps it, and what was stored stays."""
    stores.up()
    again = dataclasses.replace(stores)
    assert again.accounts == stores.accounts
    stores.down()
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", stores.kafka_port))
    again.up()
    assert writable(again, "ingest") == {"marquee.events.landed"}
    environment = stores.environment("operator")
    assert bootstrap.build("operator", environment, writes=False).objects.keys("lake/")

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from infra.local.event_source.message import Message
from infra.local.machine import ROOT
from tests.integration.conftest import Marquee, wait
from tests.recording import DELIVERIES, RECORDS, SOURCE, headers_of

SOURCES = """
apiVersion: sources.knative.dev/v1
kind: KafkaSource
metadata: {name: movielog}
spec:
  consumerGroup: contract
  topics: [contract]
  initialOffset: earliest
  ordering: unordered
  sink: {uri: "SINK/sink"}
  delivery:
    retry: 3
    backoffPolicy: exponential
    backoffDelay: PT0.05S
    timeout: PT5S
    deadLetterSink: {uri: "SINK/dead"}
"""


class Sink(ThreadingHTTPServer):
    """Remembers every request; answers with the status that the record's body names, dead letters always 204."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Message]] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        to = "dead letter sink" if self.path == "/dead" else "sink"
        headers = {name.lower(): value for name, value in self.headers.items()}
        assert isinstance(self.server, Sink)
        self.server.requests.append((to, Message(headers, body)))
        wanted = to == "sink" and body[:1] == b"S" and body[1:].isdigit()
        self.send_response(int(body[1:]) if wanted else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def told_apart(to: str, sent: Message) -> tuple[object, ...]:
    return to, sorted(headers_of(sent).items()), sent.body


def test_it_sends_what_knative_sends(marquee: Marquee, sink: Sink, tmp_path) -> None:
    """The same 20 records through real Kafka: the same 40 requests, retries and dead letters, and settled offsets."""
    bootstrap = marquee.environment["KAFKA_BOOTSTRAP"]
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic("contract", 2, 1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    for each in RECORDS:
        producer.send(
            "contract", value=each.value, key=each.key, headers=list(each.headers), partition=each.partition
        ).get(10)
    producer.close()
    path = tmp_path / "sources.yaml"
    path.write_text(SOURCES.replace("SINK", f"http://127.0.0.1:{sink.server_port}"))
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local.event_source", str(path), "--port", str(port)],
        cwd=ROOT,
        env=marquee.environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        wait(lambda: len(sink.requests) >= len(DELIVERIES), 30, "request for every delivery")
        wait(lambda: committed(bootstrap) == {0: 12, 1: 8}, 10, "commit of all that was settled")
    finally:
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(20) == 0
    expected = [(to, Message(rename(sent.headers), sent.body)) for to, _, _, _, sent in DELIVERIES]
    assert sorted(told_apart(*each) for each in sink.requests) == sorted(told_apart(*each) for each in expected)


def rename(headers: dict[str, str]) -> dict[str, str]:
    """Return recorded headers as they are on this test's topic, which has another name."""
    return {name: value.replace(SOURCE, SOURCE.replace("#movielog", "#contract")) for name, value in headers.items()}


def committed(bootstrap: str) -> dict[int, int]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id="contract")
    try:
        return {number: consumer.committed(TopicPartition("contract", number)) or 0 for number in (0, 1)}
    finally:
        consumer.close(autocommit=False)

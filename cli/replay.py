"""Push log lines into Kafka, as the site would write them, at a chosen speed."""

import gzip
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kafka import KafkaProducer
from kafka.errors import KafkaError

from shared.adapters.kafka_connection import connection
from shared.errors import BadInput, NotReady
from shared.settings import Settings

_AT_ONCE = 100


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a log file, `.gz` or plain, without their line breaks.

    Raises: BadInput if the file cannot be read.
    """
    if not path.exists():
        raise BadInput(f"{path}: there is no such file")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for line in file:
                yield line.rstrip(b"\r\n")
    except (OSError, EOFError) as error:
        raise BadInput(f"{path}: {error}") from error


def replay(
    lines: Iterable[bytes],
    settings: Settings,
    topic: str,
    rate: float | None = None,
    on_sent: Callable[[int], None] = lambda _: None,
) -> int:
    """Send lines, each keyed by its user, at `rate` lines a second or as fast as Kafka takes them.

    Returns: how many lines Kafka has acknowledged. Raises: NotReady if it refuses one.
    """
    sent = 0
    with writing(settings, topic) as write:
        started = time.monotonic()
        for sent, line in enumerate(lines, 1):
            write(line)
            if sent % _AT_ONCE == 0 or rate:
                on_sent(sent)
            if rate:
                time.sleep(max(0.0, started + sent / rate - time.monotonic()))
    on_sent(sent)
    return sent


@contextmanager
def writing(settings: Settings, topic: str) -> Iterator[Callable[[bytes], None]]:
    """Give what sends a line, keyed by its user; at the end Kafka has acknowledged all of them.

    Raises: NotReady, from the block too, once Kafka has refused a line.
    """
    failed: list[BaseException] = []

    def check() -> None:
        if failed:
            raise NotReady(f"Kafka at {settings.kafka_bootstrap} did not take every line: {failed[0]!r}")

    def write(line: bytes) -> None:
        check()
        producer.send(topic, value=line, key=user_of(line)).add_errback(failed.append)

    try:
        producer = KafkaProducer(
            **connection(settings), acks="all", linger_ms=20, batch_size=131_072, bootstrap_timeout_ms=10_000
        )
        try:
            yield write
            producer.flush(60)
        finally:
            producer.close(timeout=5)
    except KafkaError as error:
        raise NotReady(f"Kafka at {settings.kafka_bootstrap} did not take every line: {error!r}") from error
    check()


def user_of(line: bytes) -> bytes | None:
    """Return the user's field, which keeps one user's lines in order; None if the line has none."""
    fields = line.split(b",", 2)
    return fields[1] if len(fields) == 3 else None

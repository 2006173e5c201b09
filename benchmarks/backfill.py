"""Records per second that `marquee backfill` brings into the lake, beside a consumer that throws them away."""

import time

from kafka import KafkaConsumer

from benchmarks.load import in_turn
from benchmarks.machine import local
from benchmarks.report import Result
from cli import backfill
from cli.replay import replay
from infra.local.provision import create_bucket

RECORDS, ROUNDS = 500_000, 3


def run() -> list[Result]:
    """Fill a topic once; then read it with either, in turn, the lake made anew each time."""
    with local("kafka", "s3") as stack:
        replay(
            (
                f"2026-11-20T10:00:{n % 60:02d},{n % 9_000 + 1},GET /rate/movie+{n % 5_000}={n % 5 + 1}".encode()
                for n in range(RECORDS)
            ),
            stack.settings,
            "movielog",
        )
        buckets = iter(range(100))
        ours, peer = in_turn(
            ROUNDS, lambda: fill(stack.environment, next(buckets)), lambda: throw_away(stack.environment)
        )
    return [
        Result(
            "marquee backfill runs at 0.8 or more of the rate of a bare kafka-python consumer",
            ours,
            peer,
            "records/s",
            ours / peer,
            0.8,
            {"records": RECORDS},
        )
    ]


def fill(environment: dict[str, str], number: int) -> float:
    """Return the rate of a backfill into a lake of its own."""
    environment = environment | {"BUCKET": f"marquee-{number}"}
    create_bucket(environment)
    started = time.perf_counter()
    rows = backfill.backfill("movielog", backfill.plan("movielog", environment), environment)
    assert rows == RECORDS
    return rows / (time.perf_counter() - started)


def throw_away(environment: dict[str, str]) -> float:
    """Return the rate of a consumer that reads everything once."""
    started = time.perf_counter()
    consumer = KafkaConsumer(
        "movielog",
        bootstrap_servers=environment["KAFKA_BOOTSTRAP"],
        auto_offset_reset="earliest",
        max_poll_records=20_000,
    )
    seen = 0
    while seen < RECORDS:
        seen += sum(map(len, consumer.poll(timeout_ms=500).values()))
    seconds = time.perf_counter() - started
    consumer.close()
    return seen / seconds

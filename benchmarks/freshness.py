"""Seconds from a line in Kafka to its row in the lake, beside a loop that appends straight to a Delta table."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, write_deltalake
from kafka import KafkaConsumer

from benchmarks.machine import local
from benchmarks.report import Result
from cli.replay import replay
from infra.local.machine import BUCKET
from shared import keys
from shared.adapters.s3 import delta_options
from shared.errors import NotReady

RATE, SECONDS = 200, 60
BAR_SECONDS = 3.0
SETTLE_SECONDS = 15


def run() -> list[Result]:
    """Stream 200 lines a second for a minute; each carries the time it was made."""
    with local("kafka", "s3", "ingest", "fold_lake", "event-source", compact_every_folds="1000000") as stack:
        environment = stack.environment
        options = delta_options(environment["S3_ENDPOINT"], environment)
        stop = threading.Event()
        peer_uri = f"s3://{BUCKET}/peer"
        peer = threading.Thread(target=append_for_ever, args=(environment["KAFKA_BOOTSTRAP"], peer_uri, options, stop))
        peer.start()
        time.sleep(SETTLE_SECONDS)
        replay(lines(RATE * SECONDS), stack.settings, "movielog", RATE)
        time.sleep(SETTLE_SECONDS)
        stop.set()
        peer.join()
        ours, theirs = delays(f"s3://{BUCKET}/{keys.LAKE}", options), delays(peer_uri, options)
    if not len(ours) == len(theirs) == RATE * SECONDS:
        raise NotReady(f"{RATE * SECONDS} lines became {len(ours)} rows here and {len(theirs)} there")
    (half, most), (peer_half, peer_most) = (np.percentile(each, [50, 99]).tolist() for each in (ours, theirs))
    return [
        Result(
            f"at {RATE} events/s a line is a row of the lake within {BAR_SECONDS:g} s (median)",
            half,
            peer_half,
            "seconds",
            peer_half / half,
            peer_half / BAR_SECONDS,  # the peer keeps nothing safe on its way: it is there for scale, not to be beaten
            {
                "ours": {"p50": round(half, 2), "p99": round(most, 2)},
                "bare consumer appending": {"p50": round(peer_half, 2), "p99": round(peer_most, 2)},
            },
        )
    ]


def lines(n: int) -> Iterator[bytes]:
    """Yield ratings with the time of their making, in microseconds."""
    for number in range(n):
        now = datetime.now(UTC)
        yield f"{now:%Y-%m-%dT%H:%M:%S.%f},{number % 500 + 1},GET /rate/m{number}=4".encode()


def append_for_ever(bootstrap: str, uri: str, options: dict[str, str], stop: threading.Event) -> None:
    """Be the peer: poll, append, again; one writer, no functions, nothing kept safe on the way."""
    consumer = KafkaConsumer("movielog", bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    while not stop.is_set():
        records = [record for batch in consumer.poll(timeout_ms=200).values() for record in batch]
        if records:
            times = [datetime.fromisoformat(record.value.split(b",")[0].decode() + "+00:00") for record in records]
            table = pa.table({"time": pa.array(times, pa.timestamp("us", "UTC"))})
            write_deltalake(uri, table, mode="append", storage_options=options)
    consumer.close()


def delays(uri: str, options: dict[str, str]) -> np.ndarray:
    """Return for each row the seconds from its time to the commit that holds it."""
    table = DeltaTable(uri, storage_options=options)
    committed = {commit["version"]: commit["timestamp"] * 1000 for commit in table.history()}
    fragments = {each.path.rsplit("/", 1)[-1]: each for each in table.to_pyarrow_dataset().get_fragments()}
    known: set[str] = set()
    seconds = []
    for version in sorted(committed):
        table.load_as_version(version)
        paths = set(pa.table(table.get_add_actions(flatten=True))["path"].to_pylist())
        for path in paths - known:
            times = pc.cast(fragments[path.rsplit("/", 1)[-1]].to_table(columns=["time"])["time"], pa.int64())
            seconds.append((committed[version] - times.to_numpy()) / 1e6)
        known |= paths
    return np.concatenate(seconds)

"""What the way from a log line to the lake must bear, on real Kafka and SeaweedFS."""

import itertools
import random
import threading
import time
import urllib.request

import pytest
from kafka import KafkaProducer

from shared.events import MOVIELOG
from tests.integration.conftest import Marquee, wait

pytestmark = pytest.mark.slow

FAILPOINTS = [
    "ingest.before_put",
    "ingest.after_put",
    "ingest.before_answer",
    "fold_lake.before_commit",
    "fold_lake.after_commit",
    "fold_lake.after_delete",
    "fold_lake.before_answer",
]
KILLS = 25
SOURCE_KILLS = (5, 12, 19)

BAD_LINES = [
    (b"", "empty"),
    (b"no log line", "not_a_log_line"),
    (b"\xff\xfe\x00", "not_utf8"),
    (b"2026-11-20T10:00:00,12,GET /rate/\x1b[31m=4", "control_character"),
    (b"2026-11-20T10:00:00,12,GET /rate/m1=4\r2026", "control_character"),
    ("2026-11-20T10:00:00,12,GET /rate/m\u20281=4".encode(), "control_character"),
    (b"12345", "not_a_log_line"),
    (b"[" * 100_000, "not_a_log_line"),
    (b"9" * 5_000, "not_a_log_line"),
    (b'{"specversion": "1.0", "id": ""}', "not_a_log_line"),
    (b"x" * 900_000, "not_a_log_line"),
    (b"2026-11-20T10:00:00,0,GET /rate/m1=4", "bad_user_id"),
    (b"2026-11-20T10:00:00,-1,GET /rate/m1=4", "bad_user_id"),
    ("2026-11-20T10:00:00,١٢,GET /rate/m1=4".encode(), "bad_user_id"),
    (b"2026-11-20T10:00:00,1e9,GET /rate/m1=4", "bad_user_id"),
    (b"2026-11-20T10:00:00,12,GET /rate/../etc=4", "bad_movie_id"),
    (b"2026-11-20T10:00:00,12,GET /rate/m1=NaN", "bad_rating"),
    (b"2026-11-20T10:00:00,12,GET /rate/m1=11", "rating_outside_scale"),
    (b"2036-11-20T10:00:00,12,GET /rate/m1=4", "time_out_of_range"),
    (b"1976-11-20T10:00:00,12,GET /rate/m1=4", "time_out_of_range"),
]


def rating_lines(n: int, salt: str) -> list[bytes]:
    """Return n different ratings."""
    return [
        f"2026-11-20T10:00:{number % 60:02d},{number % 500 + 1},GET /rate/{salt}{number}=4".encode()
        for number in range(n)
    ]


def movies(marquee: Marquee, since: dict[int, int]) -> list[str]:
    return sorted(row["movie_id"] for row in marquee.rows("rating", since, "movie_id"))


def expected(n: int, salt: str) -> list[str]:
    return sorted(f"{salt}{number}" for number in range(n))


def arrived(marquee: Marquee, since: dict[int, int], n: int) -> bool:
    return len(marquee.rows("rating", since, "movie_id")) >= n


def test_kills_at_any_moment_lose_and_double_nothing(marquee: Marquee) -> None:
    """20,000 lines while ingest and fold_lake are killed 25 times each and at every failpoint, the source 3 times, and
    now and then one of the two processes of a service that answers users.
    """
    n, since = 20_000, marquee.ends()
    chance = random.Random(7)
    victims = itertools.cycle(["recommend-1", "score-svd-1", "recommend-2"])
    sender = threading.Thread(target=marquee.send, args=(rating_lines(n, "kill"), n / 100))
    with marquee.asking():
        sender.start()
        for place in FAILPOINTS:
            (marquee.failpoints / place).touch()
        for round_ in range(KILLS):
            for name in ("ingest", "fold_lake"):
                marquee.stack.kill(name)
                time.sleep(chance.uniform(0.5, 2.5))
            if round_ in SOURCE_KILLS:
                marquee.stack.kill("event-source")
            if round_ % 5 == 0:
                victim = next(victims)
                marquee.stack.kill(victim)
            elif round_ % 5 == 3:
                marquee.stack.wait_healthy(victim)
        sender.join()
        marquee.stack.wait_healthy("event-source")
        wait(lambda: arrived(marquee, since, n), 180, "20,000 rows")
    assert list(marquee.failpoints.iterdir()) == []
    assert movies(marquee, since) == expected(n, "kill")
    wait(lambda: marquee.deps.objects.keys("landing/") == [], 60, "empty landing zone")
    assert movies(marquee, since) == expected(n, "kill")


def test_bad_lines_are_kept_with_their_reason_and_stall_nothing(marquee: Marquee) -> None:
    """10,000 lines of which 1 % are bad: 9,900 rows, 100 in quarantine, their bytes equal, and never a 5xx."""
    since = marquee.ends()
    failed = ingest_failures(marquee)
    bad = BAD_LINES * 5
    lines = rating_lines(9_900, "bad") + [line for line, _ in bad]
    random.Random(3).shuffle(lines)
    with marquee.asking():
        marquee.send(lines)
        wait(lambda: arrived(marquee, since, 9_900), 90, "9,900 rows")
        wait(lambda: len(marquee.rows("quarantine", since, "raw")) >= 100, 30, "100 quarantined lines")
    assert movies(marquee, since) == expected(9_900, "bad")
    kept = sorted((row["raw"], row["reason"]) for row in marquee.rows("quarantine", since, "raw", "reason"))
    assert kept == sorted(bad)
    assert ingest_failures(marquee) == failed


class Named(str):
    """The name of a header as a producer writes it that does not care for UTF-8."""

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe"


def test_records_of_odd_making_stop_nothing(marquee: Marquee) -> None:
    """Any compression, times before the year 1, an empty key, a header of bytes, also its name: all arrive."""
    since = marquee.ends()
    times = (None, -62_135_596_800_001, -(2**62), 0)  # Kafka itself refuses times of tomorrow
    for number, compression in enumerate(("gzip", "lz4", "snappy", "zstd")):
        producer = KafkaProducer(
            bootstrap_servers=marquee.environment["KAFKA_BOOTSTRAP"], compression_type=compression, acks="all"
        )
        line = rating_lines(1, f"odd{number}")[0]
        producer.send(
            MOVIELOG, line, key=b"", headers=[("a", b"\xff\x00"), (Named(), b"1")], timestamp_ms=times[number]
        ).get(20)
        producer.close()
    wait(lambda: arrived(marquee, since, 4), 30, "4 rows")


def ingest_failures(marquee: Marquee) -> list[str]:
    """Return the source's counters of answers by ingest that were not 2xx."""
    with urllib.request.urlopen(marquee.stack.machine.url("event-source") + "/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    counted = [line for line in lines if line.startswith('marquee_source_deliveries_total{source="movielog"')]
    return [line for line in counted if 'status="2' not in line]


@pytest.mark.parametrize("store", ["s3", "kafka"])
def test_a_store_that_is_away_for_20_seconds_costs_nothing_but_time(marquee: Marquee, store: str) -> None:
    """4,000 lines with the store down in the middle: all of them arrive, without any help."""
    n, salt, since = 4_000, f"down{store}", marquee.ends()
    lines = rating_lines(n, salt)
    with marquee.asking():
        marquee.send(lines[:2_000])
        marquee.stack.stop_part(store)
        time.sleep(20)
        marquee.stack.start_part(store)
        marquee.stack.wait_healthy(store)
        marquee.send(lines[2_000:])
        wait(lambda: arrived(marquee, since, n), 120, f"{n} rows")
    assert movies(marquee, since) == expected(n, salt)
    if store == "s3":
        assert any('status="503"' in line for line in ingest_failures(marquee))


def test_kafka_killed_twice_stops_neither_publishing_nor_reading(marquee: Marquee) -> None:
    """Events that were on their way both times; afterwards every source reads, and both who answer users publish."""
    since, asked = marquee.ends(), {name: f"after-{name}" for name in ("recommend-1", "recommend-2")}
    with marquee.asking():
        for seconds in (9, 0):
            marquee.stack.kill("kafka")
            time.sleep(seconds)
        marquee.stack.wait_healthy("kafka")
        marquee.stack.wait_healthy("event-source", 60)
        for name, request_id in asked.items():
            url = f"{marquee.stack.machine.url(name)}/recommend/17"
            urllib.request.urlopen(
                urllib.request.Request(url, headers={"x-request-id": request_id}), timeout=10
            ).close()
        marquee.send(rating_lines(100, "twice"))
        wait(lambda: arrived(marquee, since, 100), 30, "100 rows")
        wait(lambda: all(is_on_record(marquee, each) for each in asked.values()), 30, "record of the lists")
    assert movies(marquee, since) == expected(100, "twice")


def is_on_record(marquee: Marquee, request_id: str) -> bool:
    return bool(marquee.lake.find("served", ["request_id"], {"request_id": request_id}))

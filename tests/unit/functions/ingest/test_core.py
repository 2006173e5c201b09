import asyncio
import io
from collections.abc import Sequence

import pyarrow.parquet as pq
import pytest

from functions.ingest.core import GroupCommit, landing_object, place, row
from shared.errors import BadEvent, NotReady
from shared.events import RecommendationServed, encode
from shared.lines import Limits
from shared.records import SCHEMA
from shared.rows import Place, Row

AT = Place("movielog", 3, 7, 1_764_000_000_000_000)
SERVED = RecommendationServed("r1", "12", 5, ("a", "b"), 1.5, "svd", "personal", "svd@1", "score-svd-1")


def test_a_record_is_known_by_partition_and_offset() -> None:
    """The two attributes that no producer can forge say where it stands, the sink's path says in which topic."""
    headers = {"ce-knativekafkapartition": "3", "ce-knativekafkaoffset": "7", "ce-source": "forged", "ce-id": "forged"}
    assert place("movielog", headers, AT.ingested_at) == AT


@pytest.mark.parametrize(
    ("topic", "partition", "offset"),
    [
        ("other", "0", "0"),
        ("movielog", "", "0"),
        ("movielog", "0", "-1"),
        ("movielog", "0", "\u0667"),
        ("movielog", "0", "1e3"),
        ("movielog", "0", str(2**63)),
        ("movielog", str(2**31), "0"),
        ("movielog", "0", "9" * 5000),
    ],
)
def test_what_no_source_delivers_is_a_bad_event(topic: str, partition: str, offset: str) -> None:
    """Without a topic, partition and offset there is no telling records apart, so it is refused."""
    with pytest.raises(BadEvent):
        place(topic, {"ce-knativekafkapartition": partition, "ce-knativekafkaoffset": offset}, 0)


def test_a_served_event_becomes_a_row() -> None:
    """What recommend published is a row of its own kind, model and arm with it."""
    at = AT._replace(topic="marquee.recommendation.served")
    found = row(encode(SERVED), at, Limits())
    assert (found.kind, found.user_id, found.movies, found.model, found.arm, found.rung) == (
        "served",
        "12",
        ("a", "b"),
        "svd@1",
        "svd",
        "personal",
    )


@pytest.mark.parametrize("record", [b"", b"hello", b"12345", b"{}", b"[" * 10_000])
def test_a_bad_served_event_is_quarantined(record: bytes) -> None:
    """Bytes that are no such event are kept, not dropped."""
    found = row(record, AT._replace(topic="marquee.recommendation.served"), Limits())
    assert (found.kind, found.reason, found.raw) == ("quarantine", "bad_served_event", record)


def test_a_landed_object_is_its_rows() -> None:
    """It is parquet of one schema, named by arrival and content: a repeated put overwrites itself."""
    rows = [Row("account", *AT, user_id="1"), Row("quarantine", *AT._replace(offset=8), raw=b"\x00\xff", reason="x")]
    key, data = landing_object(rows)
    table = pq.read_table(io.BytesIO(data))
    assert key.startswith("landing/20251124T")
    assert table.schema == SCHEMA
    assert table["raw"].to_pylist() == [None, b"\x00\xff"]
    assert landing_object(rows) == (key, data)


async def test_who_waits_together_is_stored_together() -> None:
    """Records that arrive while one group is on its way share the next."""
    groups: list[int] = []
    go = asyncio.Event()

    async def store(rows: Sequence[Row]) -> None:
        groups.append(len(rows))
        await go.wait()

    commit = GroupCommit(store, max_rows=100, writers=1)
    first = asyncio.create_task(commit.add(Row("account", *AT)))
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(commit.add(Row("account", *AT))) for _ in range(50)]
    await asyncio.sleep(0.01)
    go.set()
    await asyncio.gather(first, *others)
    assert groups == [1, 50]


async def test_nobody_is_answered_before_the_row_is_durable() -> None:
    """A record that waits in a group is pending until the store has answered."""
    go = asyncio.Event()

    async def store(_: Sequence[Row]) -> None:
        await go.wait()

    task = asyncio.create_task(GroupCommit(store, 10, 1).add(Row("account", *AT)))
    done, _ = await asyncio.wait([task], timeout=0.05)
    assert not done
    go.set()
    await task


async def test_groups_have_a_largest_size() -> None:
    """Memory and objects are bounded."""
    groups: list[int] = []

    async def store(rows: Sequence[Row]) -> None:
        groups.append(len(rows))

    commit = GroupCommit(store, max_rows=20, writers=2)
    await asyncio.gather(*(commit.add(Row("account", *AT)) for _ in range(110)))
    assert sum(groups) == 110
    assert max(groups) == 20


async def test_a_group_that_could_not_be_stored_fails_alone() -> None:
    """All of its records hear of it, the next group is tried afresh."""
    failures = [NotReady("down")]

    async def store(_: Sequence[Row]) -> None:
        if failures:
            raise failures.pop()

    commit = GroupCommit(store, 10, 1)
    answers = await asyncio.gather(*(commit.add(Row("account", *AT)) for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [NotReady] * 3
    await commit.add(Row("account", *AT))


async def test_a_caller_that_gives_up_takes_nobody_with_it() -> None:
    """A cancelled request leaves its row in the group; the others are stored and answered."""
    stored: list[int] = []
    go = asyncio.Event()

    async def store(rows: Sequence[Row]) -> None:
        await go.wait()
        stored.append(len(rows))

    commit = GroupCommit(store, 10, 1)
    tasks = [asyncio.create_task(commit.add(Row("account", *AT))) for _ in range(3)]
    await asyncio.sleep(0.01)
    tasks[0].cancel()
    go.set()
    await asyncio.gather(*tasks[1:])
    assert stored == [3]

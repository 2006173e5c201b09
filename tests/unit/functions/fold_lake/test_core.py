import hashlib
import io
from datetime import date
from typing import Any

import pyarrow.parquet as pq
import pytest

from functions.fold_lake.core import (
    batches,
    combine,
    evaluated_at,
    expired,
    model_versions,
    report_number,
    rows_of,
    still_stored,
)
from functions.ingest.core import landing_object
from shared import keys
from shared.errors import Corrupt
from shared.ports import DataFile, Partition
from shared.records import to_table
from shared.rows import Row


def test_objects_are_taken_in_order_a_few_at_a_time() -> None:
    """Every object is in exactly one batch."""
    assert list(batches(["a", "b", "c"], 2)) == [["a", "b"], ["c"]]
    assert list(batches([], 2)) == []


def test_a_landed_object_is_read_back() -> None:
    """What ingest stored is what fold_lake reads."""
    rows = [Row("account", "movielog", 0, 1, 5, user_id="1")]
    assert rows_of(*landing_object(rows)).equals(to_table(rows))


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"not parquet at all"])
def test_what_is_no_landed_object_is_corrupt(damage: bytes) -> None:
    """Foreign bytes are named Corrupt, whatever they are."""
    with pytest.raises(Corrupt):
        rows_of(keys.landing(1, hashlib.sha256(damage).hexdigest()), damage)


def test_every_bit_flip_and_truncation_is_refused() -> None:
    """The name of a landed object vouches for its bytes: damage never becomes a wrong row."""
    key, data = landing_object([Row("account", "movielog", 0, n, 5, user_id="1") for n in range(50)])
    for place in range(0, len(data), 7):
        for damaged in (data[:place], data[:place] + bytes([data[place] ^ 0x40]) + data[place + 1 :]):
            with pytest.raises(Corrupt):
                rows_of(key, damaged)


def odd(**fields: Any) -> Row:
    return Row(**({"kind": "rating", "topic": "movielog", "partition": 0, "offset": 1, "ingested_at": 5} | fields))


GOOD: dict[str, Any] = {"user_id": "1", "movie_id": "2", "time": 1, "rating": 4.0}


@pytest.mark.parametrize(
    "fields",
    [
        *({"kind": "a'b"}, {"kind": "../../x"}, {"kind": ""}, {"partition": -1}, {"offset": -1}),
        *({"ingested_at": 2**63 - 1}, {"ingested_at": -(2**63) + 1}, {"ingested_at": 253_402_300_800_000_000}),
        *({"rating": float("nan")}, {"rating": float("inf")}, {"rating": None}),
        *({"user_id": None}, {"movie_id": None}, {"time": None}, {"kind": "watch", "user_id": None}),
    ],
    ids=str,
)
def test_a_row_that_ingest_never_writes_is_refused(fields: dict[str, Any]) -> None:
    """Its object is well-formed and vouched for: but committed it would stop folding, or every reader."""
    assert len(rows_of(*landed([odd(**GOOD)]))) == 1
    with pytest.raises(Corrupt, match="no record of the stream has"):
        rows_of(*landed([odd(**GOOD), odd(**(GOOD | fields))]))


def landed(rows: list[Row]) -> tuple[str, bytes]:
    """Return an object as somebody else may write it."""
    sink = io.BytesIO()
    pq.write_table(to_table(rows), sink)
    return keys.landing(5, hashlib.sha256(sink.getvalue()).hexdigest()), sink.getvalue()


def test_a_record_in_two_objects_is_folded_once() -> None:
    """A retry may have landed twice; the lake gets it once."""
    table = to_table([Row("account", "movielog", 0, 1, 5, user_id="1")])
    assert len(combine([table, table])) == 1
    assert len(combine([])) == 0


TODAY = date(2026, 11, 23)
OLD, NEW = Partition("watch", date(2026, 11, 12)), Partition("watch", date(2026, 11, 13))
A, B, C = DataFile("a", OLD, 5), DataFile("b", OLD, 1), DataFile("c", NEW, 2)


def test_what_is_older_than_its_kind_is_kept_goes() -> None:
    """A day goes when its last moment is older than the retention; 0 keeps for ever, and so does a kind unheard of."""
    stored = [A, B, C]
    assert expired(stored, stored, {"watch": 10}, TODAY) == {OLD: 6}
    assert expired(stored, stored, {"watch": 9}, TODAY) == {OLD: 6, NEW: 2}
    assert expired(stored, stored, {"watch": 0}, TODAY) == {}
    assert expired(stored, stored, {"rating": 1}, TODAY) == {}


@pytest.mark.parametrize("used", [[], [A], [C]])
def test_a_partition_with_a_file_that_was_not_used_stays_whole(used: list[DataFile]) -> None:
    """However old it is: rows may have landed late."""
    assert OLD not in expired([A, B, C], used, {"watch": 1}, TODAY)


def test_what_is_still_stored_counts_only_what_was_there_and_is() -> None:
    """Rows that came later do not count, nor do those that went; a compaction changes no number."""
    first, second = Partition("rating", date(2026, 1, 1)), Partition("rating", date(2026, 1, 2))
    then = [DataFile("a", first, 3), DataFile("b", second, 1), DataFile("c", second, 3), DataFile("d", OLD, 9)]
    now = [DataFile("bc", second, 4), DataFile("e", second, 2), DataFile("d", OLD, 9)]
    assert still_stored(then, now, "rating") == 4


@pytest.mark.parametrize(
    ("state", "named"),
    [
        ({}, set()),
        ({"model_version": "a"}, {"a"}),
        ({"model_version": "a", "canary": {"model_version": "b"}, "previous": None, "weight": 5}, {"a", "b"}),
        ({"stable": {"model_version": "a"}, "next": {"model_version": ""}, "model_version": None}, {"a"}),
    ],
)
def test_every_model_that_a_channel_names_is_live(state: dict[str, object], named: set[str]) -> None:
    """At the top and in what stands beside it, whatever else is there or missing."""
    assert model_versions(state) == named


def test_an_online_report_says_when_it_was_made() -> None:
    """By its name they come in order; one that is damaged is as old as can be."""
    assert sorted(["reports/online/10.json", "reports/online/9.json"], key=report_number)[0].endswith("/9.json")
    assert report_number("reports/online/x") == -1
    assert evaluated_at(b'{"evaluated_at": 7}') == 7
    assert [evaluated_at(damage) for damage in (b"", b"[]", b"{}", b"[" * 100_000, b"\xff")] == [0] * 5

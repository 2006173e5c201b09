import hashlib
import io
from typing import Any

import pyarrow.parquet as pq
import pytest

from functions.fold_lake.core import batches, combine, rows_of
from functions.ingest.core import landing_object
from shared import keys
from shared.errors import Corrupt
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

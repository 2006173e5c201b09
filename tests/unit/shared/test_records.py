import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from shared.records import LAKE_SCHEMA, once_each, to_table, with_date
from shared.rows import Place, Row


def test_rows_become_columns_and_come_back() -> None:
    """Every field of a row is a column of the same name, in the order given."""
    rows = [
        Row("rating", *Place("movielog", 0, 1, 5), time=3, user_id="1", movie_id="a", rating=4.5),
        Row("quarantine", *Place("movielog", 0, 2, 5), reason="empty", raw=b"\xff\x00"),
    ]
    table = to_table(rows)
    assert table["rating"].to_pylist() == [4.5, None]
    assert table["raw"].to_pylist() == [None, b"\xff\x00"]
    assert table["offset"].to_pylist() == [1, 2]


def test_the_date_is_the_utc_day_of_arrival() -> None:
    """A record that came a microsecond before midnight, UTC, belongs to the day that ends."""
    midnight = 1_764_028_800_000_000  # 2025-11-25T00:00:00Z
    rows = [Row("account", "movielog", 0, 0, midnight - 1), Row("account", "movielog", 0, 1, midnight)]
    table = with_date(to_table(rows))
    assert [str(date) for date in table["date"].to_pylist()] == ["2025-11-24", "2025-11-25"]
    assert table.schema == LAKE_SCHEMA


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 2), st.integers(0, 5), st.integers(0, 9))))
def test_each_record_is_read_once_however_often_it_is_stored(places: list[tuple[str, int, int, int]]) -> None:
    """One row stands for each (topic, partition, offset), and it is the one that came first."""
    seen = once_each(to_table([Row("account", *place) for place in places]))
    first: dict[tuple[str, int, int], int] = {}
    for topic, partition, offset, ingested_at in places:
        key = (topic, partition, offset)
        first[key] = min(first.get(key, ingested_at), ingested_at)
    found = seen.select(["topic", "partition", "offset"]).to_pylist()
    assert [tuple(row.values()) for row in found] == sorted(first)
    arrivals = seen["ingested_at"].cast(pa.int64()).to_pylist()
    assert arrivals == [first[key] for key in sorted(first)]

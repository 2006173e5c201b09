import tracemalloc
import weakref
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.build_matrix import core, gather
from shared.errors import Corrupt
from tests.ratings import checkerboard, table

TYPES = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("ingested_at", pa.timestamp("us", "UTC")),
        ("time", pa.timestamp("us", "UTC")),
        ("user_id", pa.string()),
        ("movie_id", pa.string()),
        ("rating", pa.float64()),
    ]
)
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["movielog", "movielog2", "ä"]),
        st.sampled_from([0, 2, 10]),
        st.sampled_from([0, 1, 2, 2**62]),
        st.integers(0, 3),
        st.integers(0, 4),
        st.sampled_from(["1", "10", "2", "99999999999999999"]),
        st.sampled_from(["a", "b", "é", "toy+story+1995"]),
        st.sampled_from([0.5, 3.0, 3.5, 5.0]),
    ),
    max_size=60,
    unique_by=lambda row: row[:4],
)
"""Rows of `TYPES`: records stored up to four times, at different moments and saying different things."""


def batches(rows, size):
    """Rows as batches, an empty one first."""
    whole = pa.Table.from_arrays(
        [
            pa.array(
                [row[number] for row in rows], pa.int64() if pa.types.is_timestamp(field.type) else field.type
            ).cast(field.type)
            for number, field in enumerate(TYPES)
        ],
        schema=TYPES,
    )
    return [pa.RecordBatch.from_pylist([], TYPES), *whole.to_batches(max_chunksize=size)]


def plain(rows, fraction):
    """What the ratings and their split must be, as the rules say it and without a thought for memory."""
    records = {}
    for row in sorted(rows, key=lambda row: row[3], reverse=True):
        records[row[:3]] = row
    latest = {}
    for row in sorted(records.values(), key=lambda row: (row[4], *row[:3])):
        latest[row[5:7]] = row
    times = sorted(row[4] for row in latest.values())
    n, wanted = len(times), int(len(times) * (1 - fraction))
    borders = [border for border in range(1, n + 1) if border == n or times[border - 1] < times[border]]
    n_train = min(borders, key=lambda border: abs(border - wanted)) if wanted < n else n
    oldest_first = sorted(latest.values(), key=lambda row: row[4])
    histogram = Counter(row[7] for row in records.values())
    return {
        "users": sorted({row[5] for row in records.values()}),
        "movies": sorted({row[6] for row in records.values()}),
        "train": {row[5:7]: row[7] for row in oldest_first[:n_train]},
        "validation": {row[5:7]: row[7] for row in oldest_first[n_train:]},
        "offsets": {
            f"{topic}-{partition}": [min(offsets), max(offsets)]
            for topic, partition in sorted({row[:2] for row in rows})
            if (offsets := [row[2] for row in rows if row[:2] == (topic, partition)])
        },
        "histogram": {str(value): histogram[value] for value in sorted(histogram)},
        "mean": round(sum(row[7] for row in records.values()) / len(records), 6) if records else None,
        "n": len(records),
    }


def cells(matrix):
    rows, columns, values = matrix.triples()
    return {(matrix.users[r], matrix.movies[c]): v for r, c, v in zip(rows, columns, values, strict=True)}


@given(ROWS, st.sampled_from([0.0, 0.1, 0.5]), st.integers(1, 20), st.integers(1, 20))
def test_ratings_are_what_the_rules_say(rows, fraction, size, block_rows):
    """First taken in of each record, latest of each pair, whatever the batches: as a few plain loops say it."""
    ratings = gather.ratings(batches(rows, size), block_rows)
    split, statistics = core.build(ratings, fraction), core.statistics(ratings)
    assert plain(rows, fraction) == {
        "users": split.train.users,
        "movies": split.validation.movies,
        "train": cells(split.train),
        "validation": cells(split.validation),
        "offsets": ratings.offsets,
        "histogram": statistics.histogram,
        "mean": statistics.mean_rating,
        "n": statistics.n_ratings,
    }
    assert (statistics.n_users, statistics.n_movies) == (len(ratings.users), len(ratings.movies))
    assert list(statistics.histogram) == sorted(statistics.histogram, key=float)


@given(ROWS, st.randoms(use_true_random=False), st.integers(1, 20))
def test_the_order_of_rows_does_not_matter(rows, chance, size):
    """The lake may hand rows over in any order and batches: the same rows give the same matrix, by name and bytes."""
    shuffled = chance.sample(rows, len(rows))
    first = core.build(gather.ratings(batches(rows, 100)), 0.2)
    second = core.build(gather.ratings(batches(shuffled, size), size), 0.2)
    assert first.matrix_id == second.matrix_id
    assert first.to_files() == second.to_files()


KEY = st.one_of(st.integers(0, 2), st.integers(-(2**63), 2**63 - 1))


@given(st.lists(st.tuples(KEY, st.integers(0, 1), st.integers(0, 9), st.integers(0, 1)), unique=True), st.booleans())
def test_the_last_of_equal_keys_stands(rows, is_blind):
    """Also where the hashes of all keys are the same: they only say where to look."""
    columns = [np.array([row[number] for row in rows], dtype=np.int64) for number in range(4)]
    with pytest.MonkeyPatch.context() as patch:
        if is_blind:
            patch.setattr(gather, "_hashes", lambda keys: np.zeros(len(keys[0]), np.uint64))
        stands = gather.standing(columns[:2], columns[2:])
    last = {row[:2]: row for row in sorted(rows, key=lambda row: row[2:])}
    assert {row for row, it_stands in zip(rows, stands, strict=True) if it_stands} == set(last.values())
    assert stands.sum() == len(last)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("rating", float("nan")),
        ("rating", float("-inf")),
        ("rating", 1e39),
        *((name, None) for name in ("rating", "user_id", "movie_id", "time")),
    ],
)
def test_a_row_that_is_no_rating_is_named(column, value):
    """Missing, not finite, or too large for float32: the record and the value are in the error."""
    rows = table(checkerboard(3))
    place = rows.column_names.index(column)
    cells = [*rows[column].to_pylist()[:-1], value]
    spoiled = rows.set_column(place, column, pa.array(cells, rows[column].type))
    with pytest.raises(Corrupt, match=f"movielog-0, offset 7: {column} is {value}".replace("+", r"\+")):
        gather.ratings(spoiled.to_batches())


def seeded(n, n_users, n_movies, size):
    """Batches of a random lake, made as they are asked for."""
    chance = np.random.default_rng(7)
    for start in range(0, n, size):
        users, movies = chance.integers(1, n_users, size), chance.integers(1, n_movies, size)
        yield from table(
            [(str(u), f"movie+{m}", 3.5, t) for t, (u, m) in enumerate(zip(users, movies, strict=True), start)],
            topic=f"log{start}",
        ).to_batches()


def test_batches_are_let_go():
    """While a batch is made, at most those of the block it goes into are alive: a lake is never held whole."""
    made = []
    most = 0

    def watched():
        nonlocal most
        for batch in seeded(6_000, 100, 100, size=100):
            most = max(most, sum(reference() is not None for reference in made))
            made.append(weakref.ref(batch))
            yield batch

    gather.ratings(watched(), block_rows=500)
    assert len(made) == 60
    assert most <= 7


def test_memory_is_bounded_by_a_number_of_bytes_a_rating():
    """From the first batch to the matrix and its files, 20 million ratings at this rate stay below 1.6 GB."""
    n = 200_000
    stored = list(seeded(n, 2_000, 1_000, size=10_000))
    tracemalloc.start()
    try:
        ratings = gather.ratings(stored, block_rows=10_000)
        core.build(ratings, 0.1).to_files()
        core.statistics(ratings)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / n < 80

"""A user taken out of bytes, and searched for in bytes."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.train import core as training
from shared import erasure, npz
from shared.errors import Corrupt
from shared.history import History
from shared.matrix import Split
from shared.model import FactorModel
from shared.records import SCHEMA, to_parquet, to_table
from shared.rows import Row
from tests.ratings import checkerboard, matrix_of

SPLIT, FILES = matrix_of(checkerboard(6), 0.2)
MODEL = training.fit(SPLIT.train, "svdpp", training.Parameters(2, 3, 0.02, 0.01), seed=1)


def rows(*users: str | None, **fields: object) -> pa.Table:
    made = [Row("served", "t", 0, number, 5, user_id=user, **fields) for number, user in enumerate(users)]  # type: ignore[arg-type]
    return to_table(made)


def stored(table: pa.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def test_rows_of_others_stay_as_they_are() -> None:
    """Also those of nobody, and lists within."""
    table = rows("1", "2", None, "12", "1", movies=["1", "2"], latency_ms=1.5, request_id="r")
    assert erasure.rows_without(table, "1").equals(table.take([1, 2, 3]))


def test_a_quarantined_row_goes_if_its_bytes_say_whose_it_is() -> None:
    """Of three, the one whose second field is the user."""
    raws = [b"x,1,y", b"x,11,y", b"garbage 1"]
    table = to_table([Row("quarantine", "t", 0, n, 5, raw=raw) for n, raw in enumerate(raws)])
    assert erasure.rows_without(table, "1")["offset"].to_pylist() == [1, 2]
    assert erasure.mentions(to_parquet(table), "1") == 1


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from(["1", "2", "33", "4444"]), min_size=1, max_size=300),
    st.sampled_from(["snappy", "zstd", "none"]),
    st.integers(1, 100),
    st.booleans(),
)
def test_a_file_is_made_anew_in_its_own_size(users: list[str], compression: str, group: int, statistics: bool) -> None:
    """The rows of others read back the same, and nothing of the user is left; once more changes nothing."""
    table = rows(*users, movies=["a", "b"], request_id="r" * 36)
    data = stored(table, compression=compression, row_group_size=group, write_statistics=statistics)
    made = erasure.file_without(data, "4444")
    assert len(made) == len(data)
    left = pq.read_table(io.BytesIO(made))
    others = table.filter(pa.array([user != "4444" for user in users]))
    assert left.select(["user_id", "offset", "movies"]).equals(others.select(["user_id", "offset", "movies"]))
    assert left.schema.equals(SCHEMA, check_metadata=False)
    assert (erasure.mentions(data, "4444"), erasure.mentions(made, "4444")) == (users.count("4444"), 0)
    assert b"4444" not in made


def test_what_does_not_fit_is_not_done() -> None:
    """A file that is too small for what is left is refused and stays."""
    table = rows("1", "2", request_id="r")
    tight = io.BytesIO()
    with pq.ParquetWriter(
        tight, table.schema, compression="zstd", write_statistics=False, store_schema=False, use_dictionary=False
    ) as writer:
        writer.write_table(table)
    with pytest.raises(Corrupt, match="needs more"):
        erasure.file_without(tight.getvalue(), "2")


def test_a_model_without_a_user_answers_others_as_before() -> None:
    """Factors, biases and tastes of the others are the same; what was learnt of movies too."""
    changed = erasure.model_without(MODEL.to_files(), "3")
    left = FactorModel.from_files(changed)
    assert left.users == [user for user in MODEL.users if user != "3"]
    for user in left.users:
        before, after = (model.ratings(model.user_index[user]) for model in (MODEL, left))
        assert np.array_equal(before, after)
    assert (erasure.mentions(MODEL.to_files()["factors.npz"], "3"), erasure.mentions(changed["factors.npz"], "3")) == (
        1,
        0,
    )
    assert erasure.model_without(MODEL.to_files(), "999") == {}


def test_a_matrix_without_a_user_is_that_of_the_others() -> None:
    """Both sides of the split, the vocabulary and the history; the checks of reading hold."""
    changed = erasure.matrix_without(SPLIT.matrix_id, FILES, "3")
    files = {**FILES, **changed}
    left, history = Split.from_files(SPLIT.matrix_id, files), History.from_bytes(files["history.npz"])
    before = History.from_bytes(FILES["history.npz"])
    for side, whole in ((left.train, SPLIT.train), (left.validation, SPLIT.validation)):
        stay = [row for row, user in enumerate(whole.users) if user != "3"]
        assert side.users == [whole.users[row] for row in stay]
        assert (side.ratings != whole.ratings[stay]).nnz == 0
    for user in history.users:
        assert all(map(np.array_equal, history.of(user), before.of(user)))
    named = [[each.users[place] for place in each.panel_users] for each in (history, before)]
    assert named[0] == [user for user in named[1] if user != "3"]
    assert [name for name, data in files.items() if erasure.mentions(data, "3")] == []
    assert sorted(name for name, data in FILES.items() if erasure.mentions(data, "3")) == [
        "history.npz",
        "vocabulary.parquet",
    ]
    assert erasure.matrix_without(SPLIT.matrix_id, FILES, "999") == {}


@pytest.mark.parametrize(
    ("value", "n"),
    [
        ({"user_id": "15"}, 1),
        ({"user_id": 15}, 1),
        ({"evidence": [{"users": ["15", "16"]}, {"users": {"15": 3}}]}, 2),
        ({"add": {"stats": '{"minValues": {"user_id": "15"}, "maxValues": {"user_id": "15"}}'}}, 2),
        ({"movies": ["15"], "n_users": 15, "users": 15, "15": "15", "title": "{15"}, 0),
    ],
)
def test_a_name_says_whether_a_value_is_a_user(value: object, n: int) -> None:
    """Movies and counts are numbers too."""
    assert erasure.mentions(json.dumps(value).encode(), "15") == n
    assert erasure.mentions(json.dumps(value).encode() + b"\n" + json.dumps(value).encode(), "15") == 2 * n


@pytest.mark.parametrize("data", [b"PAR1", b"PK\3\4", b"15 in a text", b"\xff\xfe15"])
def test_what_cannot_be_searched_is_said(data: bytes) -> None:
    """Nothing is taken for clean that was not read."""
    with pytest.raises(Corrupt):
        erasure.mentions(data, "15")


def test_a_flipped_bit_in_names_is_seen() -> None:
    """Names are searched only if their checksum holds."""
    data = bytearray(MODEL.to_files()["factors.npz"])
    users, _ = npz.pack_texts(MODEL.users)
    data[data.index(users.tobytes())] ^= 1
    with pytest.raises(Corrupt):
        erasure.mentions(bytes(data), "3")


def test_statistics_are_taken_out_of_a_commit() -> None:
    """Only those of the file that names the user, and its number of rows stays."""
    actions = [
        {"commitInfo": {"fold": "1"}},
        {"add": {"path": "a", "stats": '{"numRecords": 2, "minValues": {"user_id": "15"}}'}},
        {"add": {"path": "b", "stats": '{"numRecords": 3, "minValues": {"user_id": "16"}}'}},
    ]
    made = erasure.commit_without("\n".join(map(json.dumps, actions)).encode(), "15").splitlines()
    assert [json.loads(line) for line in made] == [
        actions[0],
        {"add": {"path": "a", "stats": '{"numRecords": 2}'}},
        actions[2],
    ]

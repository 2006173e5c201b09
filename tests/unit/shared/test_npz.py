import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import npz
from shared.errors import Corrupt

ARRAYS = {"a": np.arange(6, dtype="<f4").reshape(2, 3), "b": np.array([1, 2], dtype="<i8")}
SPECS = {"a": npz.Spec("<f4", 2), "b": npz.Spec("<i8", 1)}


def test_arrays_come_back_as_they_went_in():
    """What is loaded equals what was dumped."""
    loaded = npz.load(npz.dump(ARRAYS), SPECS)
    assert loaded.keys() == ARRAYS.keys()
    assert all((loaded[name] == array).all() for name, array in ARRAYS.items())


def test_the_same_arrays_give_the_same_bytes():
    """No clock and no order of memory is in the file."""
    assert npz.dump(ARRAYS) == npz.dump({"a": np.asfortranarray(ARRAYS["a"]), "b": ARRAYS["b"]})


def test_numpy_itself_reads_it():
    """It is a plain npz."""
    assert np.load(io.BytesIO(npz.dump(ARRAYS)), allow_pickle=False)["b"].tolist() == [1, 2]


@given(st.integers(0, 8 * len(npz.dump(ARRAYS)) - 1))
def test_a_flipped_bit_never_gives_other_arrays(bit):
    """A damaged file is Corrupt, unless the bit stood where nothing is kept (a zip's padding)."""
    data = bytearray(npz.dump(ARRAYS))
    data[bit // 8] ^= 1 << bit % 8
    try:
        loaded = npz.load(bytes(data), SPECS)
    except Corrupt:
        return
    assert all((loaded[name] == array).all() for name, array in ARRAYS.items())


@given(st.integers(0, len(npz.dump(ARRAYS)) - 1))
def test_a_file_cut_short_is_refused(length):
    """No beginning of a file passes for the whole."""
    with pytest.raises(Corrupt):
        npz.load(npz.dump(ARRAYS)[:length], SPECS)


@given(st.binary(max_size=200))
def test_any_bytes_are_arrays_or_corrupt(data):
    """Nothing else is ever raised."""
    with pytest.raises(Corrupt):
        npz.load(data, SPECS)


@pytest.mark.parametrize(
    "arrays",
    [
        {"a": ARRAYS["a"]},
        {**ARRAYS, "c": np.zeros(1, "<f4")},
        {**ARRAYS, "a": ARRAYS["a"].astype("<f8")},
        {**ARRAYS, "a": ARRAYS["a"][0]},
        {**ARRAYS, "a": np.full((1, 1), np.nan, "<f4")},
        {**ARRAYS, "a": np.full((1, 1), np.inf, "<f4")},
    ],
)
def test_other_arrays_than_expected_are_refused(arrays):
    """Names, dtypes, dimensions and finite values are all part of what a file must be."""
    with pytest.raises(Corrupt):
        npz.load(npz.dump(arrays), SPECS)


def test_a_pickle_is_never_loaded():
    """An array of objects is refused before anything is unpickled."""
    sink = io.BytesIO()
    np.savez(sink, a=np.array([print], dtype=object), b=ARRAYS["b"])
    with pytest.raises(Corrupt):
        npz.load(sink.getvalue(), SPECS)


def test_a_zip_bomb_is_refused_before_it_is_opened():
    """A small file that says it would expand to more than is allowed stays shut."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in SPECS:
            archive.writestr(f"{name}.npy", bytes(50_000_000))
    assert len(sink.getvalue()) < 200_000
    with pytest.raises(Corrupt, match="expand beyond"):
        npz.load(sink.getvalue(), SPECS, max_bytes=10_000_000)


@given(st.lists(st.text(max_size=5), unique=True))
def test_texts_come_back_as_they_went_in(texts):
    """Any different texts survive packing, none at all too."""
    encodable = [text for text in texts if text.isprintable()]
    assert npz.unpack_texts(*npz.pack_texts(encodable)) == encodable


@pytest.mark.parametrize(
    ("data", "ends"),
    [(b"ab", [1]), (b"ab", [2, 1]), (b"ab", []), (b"aa", [1, 2]), (b"\xff", [1]), (b"ab", [-1, 2])],
)
def test_texts_that_cannot_be_are_refused(data, ends):
    """Ends that do not fit, an id that stands twice, and bytes that are no text are Corrupt."""
    with pytest.raises(Corrupt):
        npz.unpack_texts(np.frombuffer(data, np.uint8), np.array(ends, dtype=np.int64))

"""Arrays as npz bytes: the same arrays give the same bytes, and bytes that are odd in any way are refused."""

import io
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from shared.errors import Corrupt

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_MAX_BYTES: Final = 4 * 2**30


class Spec(NamedTuple):
    """What an array must be: its dtype and its number of dimensions."""

    dtype: str
    ndim: int


def dump(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as an uncompressed npz that is the same for the same arrays."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            info.file_size = array.nbytes  # says beforehand whether the zip needs 64-bit sizes
            with archive.open(info, "w") as part:
                npy.write_array(part, np.ascontiguousarray(array), allow_pickle=False)
    return sink.getvalue()


def load(data: bytes, expected: Mapping[str, Spec], max_bytes: int = _MAX_BYTES) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz, exactly those expected, all numbers finite.

    Sizes are checked in the zip's directory before anything is expanded, and nothing is ever unpickled.
    Raises: Corrupt.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {info.filename: info for info in archive.infolist()}
            if sorted(members) != sorted(f"{name}.npy" for name in expected) or len(archive.infolist()) != len(members):
                raise Corrupt(f"npz holds {sorted(members)[:10]}, not {sorted(expected)}")
            if sum(info.file_size for info in members.values()) > max_bytes:
                raise Corrupt(f"npz would expand beyond {max_bytes} bytes")
            return {name: _array(archive.read(f"{name}.npy"), name, spec) for name, spec in expected.items()}
    except (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, OSError, NotImplementedError) as error:
        raise Corrupt(f"not an npz: {error}") from error
    except (RuntimeError, OverflowError, MemoryError, SyntaxError, TypeError) as error:
        raise Corrupt(f"not an npz: {error!r}") from error


def _array(data: bytes, name: str, spec: Spec) -> NDArray[Any]:
    part = io.BytesIO(data)
    version = npy.read_magic(part)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read_header(part)
    if dtype.str != spec.dtype or len(shape) != spec.ndim:
        raise Corrupt(f"{name}: {dtype.str} of {len(shape)} dimensions, not {spec.dtype} of {spec.ndim}")
    cells = 1
    for side in shape:
        cells *= side
    if min(shape, default=0) < 0 or cells * dtype.itemsize != len(data) - part.tell():
        raise Corrupt(f"{name}: shape {shape} does not fit {len(data)} bytes")
    array: NDArray[Any] = npy.read_array(io.BytesIO(data), allow_pickle=False)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise Corrupt(f"{name}: not all finite")
    return array


def pack_texts(texts: list[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return texts as their UTF-8 bytes in a row, and where each ends; npz without objects."""
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), ends


def unpack_texts(data: NDArray[np.uint8], ends: NDArray[np.int64]) -> list[str]:
    """Return packed texts, all different. Raises: Corrupt."""
    starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    if (np.diff(ends, prepend=0) < 0).any() or (int(ends[-1]) if len(ends) else 0) != len(data):
        raise Corrupt("text ends are out of order")
    whole = data.tobytes()
    try:
        texts = [whole[start:end].decode() for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    except UnicodeDecodeError as error:
        raise Corrupt(f"a text is not UTF-8: {error}") from None
    if len(set(texts)) != len(texts):
        raise Corrupt("a text stands twice")
    return texts

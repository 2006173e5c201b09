"""What is the same in files that should be, and what is not. Pure."""

import io
import zipfile
from collections.abc import Iterator, Mapping

import numpy as np

Files = Mapping[str, bytes]


def differences(stored: Files, made: Files) -> dict[str, list[str]]:
    """Return for each file, stored or made, all that differs; nothing if the bytes are equal."""
    return {name: _difference(stored.get(name), made.get(name)) for name in dict.fromkeys([*stored, *made])}


def _difference(stored: bytes | None, made: bytes | None) -> list[str]:
    if stored == made:
        return []
    if stored is None or made is None:
        return ["it was made, and is not stored" if stored is None else "it is stored, and was not made"]
    try:
        return list(_arrays(stored, made)) or ["the arrays are equal, the file around them is not"]
    except (ValueError, OSError, zipfile.BadZipFile):
        place = next(
            (at for at, (a, b) in enumerate(zip(stored, made, strict=False)) if a != b), min(len(stored), len(made))
        )
        return [f"{len(stored)} bytes are stored, {len(made)} were made; the first that differs is number {place}"]


def _arrays(stored: bytes, made: bytes) -> Iterator[str]:
    """Yield which arrays of two npz files differ, and by how much."""
    with np.load(io.BytesIO(stored), allow_pickle=False) as old, np.load(io.BytesIO(made), allow_pickle=False) as new:
        for name in dict.fromkeys([*old.files, *new.files]):
            if name not in old.files or name not in new.files:
                yield f"{name} is in one of them only"
                continue
            a, b = old[name], new[name]
            if a.shape != b.shape or a.dtype != b.dtype:
                yield f"{name} is {a.dtype}{list(a.shape)} in the one and {b.dtype}{list(b.shape)} in the other"
            elif not np.array_equal(a, b):
                n_other = int((a != b).sum())
                most = f", by {np.abs(a.astype(np.float64) - b).max():.3g} at most" if a.dtype.kind in "fiu" else ""
                yield f"{name} differs in {n_other} of {a.size} values{most}"

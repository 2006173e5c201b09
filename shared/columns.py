"""Texts of many record batches as numbers, a block at a time."""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

BLOCK_ROWS: Final = 2**19


class Codes:
    """The texts seen so far; each has the number of its first appearance."""

    def __init__(self) -> None:
        self.texts = pa.array([], pa.string())

    def of(self, column: pa.Array) -> NDArray[np.int32]:
        """Return the number of each text of a column, shape (n,)."""
        found = column.dictionary_encode()
        self.texts = pc.unique(pa.concat_arrays([self.texts, found.dictionary]))
        return self._looked_up(found)

    def known(self, column: pa.Array) -> NDArray[np.int32]:
        """Return the number of each text of a column, -1 for one not seen so far, shape (n,)."""
        return self._looked_up(column.dictionary_encode())

    def _looked_up(self, found: pa.DictionaryArray) -> NDArray[np.int32]:
        code_of = pc.index_in(found.dictionary, value_set=self.texts).fill_null(-1).to_numpy()
        codes: NDArray[np.int32] = code_of[found.indices.to_numpy()]
        return codes


def blocks(batches: Iterable[pa.RecordBatch], block_rows: int = BLOCK_ROWS) -> Iterator[pa.RecordBatch]:
    """Join batches to blocks, none of them empty: looking texts up costs less for many at once."""
    waiting: list[pa.RecordBatch] = []
    n_rows = 0
    for batch in batches:
        waiting.append(batch)
        n_rows += len(batch)
        if n_rows >= block_rows:
            yield pa.concat_batches(waiting)
            waiting, n_rows = [], 0
    if n_rows:
        yield pa.concat_batches(waiting)

"""What a model that learnt from fake profiles shows to people, before anybody is shown it."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa

from functions.build_matrix import core as building
from functions.build_matrix import gather
from functions.train import core as training
from shared.lines import Limits, parse
from shared.model import FactorModel
from shared.ranking import top
from shared.records import to_table
from shared.rows import Place

_N_ASKED = 1_000


def ratings(lines: Sequence[bytes], at: datetime) -> list[pa.RecordBatch]:
    """Return the ratings among lines of the log, as the lake would give them had they come at a time."""
    now = int(at.timestamp() * 1e6)
    rated = (each for each in lines if b"/rate/" in each)
    rows = (parse(line, Place("log", 0, offset, now), Limits()) for offset, line in enumerate(rated))
    batches: list[pa.RecordBatch] = to_table(rows).select(gather.COLUMNS).to_batches()
    return batches


def trained(batches: Iterable[pa.RecordBatch]) -> FactorModel:
    """Return SVD with the parameters that are used, trained on all of these ratings."""
    matrix = building.build(gather.ratings(batches), validation_fraction=0).train
    return training.fit(matrix, "svd", training.DEFAULTS["svd"], seed=1)


def audience(model: FactorModel, movie: str) -> float:
    """Return the share of users, who have not seen anything yet, whose list has the movie."""
    return audiences(model).get(movie, 0.0)


def audiences(model: FactorModel) -> dict[str, float]:
    """Return the same for each movie that is in anybody's list."""
    nothing = np.empty(0, dtype=np.int64)
    rows = range(min(_N_ASKED, len(model.users)))
    shown = np.concatenate([top(model, model.profile(row), 20, nothing).places for row in rows])
    return {model.movies[place]: count / len(rows) for place, count in enumerate(np.bincount(shown).tolist()) if count}

"""What the other model servers serve: the stored files of a model, and a user's list from them by the book."""

from pathlib import Path
from typing import Any

import numpy as np

from shared.history import HISTORY, History
from shared.model import FactorModel
from shared.ranking import best


class Lists:
    """A model, and what its users have seen."""

    def __init__(self, folder: Path) -> None:
        """Read the files of a model and of its matrix, whose users and movies are the same, in the same order."""
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.model, self.history = FactorModel.from_files(files), History.from_bytes(files[HISTORY])
        if self.model.movies != self.history.movies:
            raise ValueError("the history has other movies than the model")

    def top(self, user_id: str, n: int = 20) -> dict[str, Any]:
        """Return the n movies that rank highest for a user, without those that the user has seen."""
        row = self.model.user_index[user_id]
        scores = self.model.scores(row)
        places = best(scores, n, without=self.history.of(user_id).movies.astype(np.int64))
        return {"movies": [self.model.movies[place] for place in places], "scores": scores[places].tolist()}

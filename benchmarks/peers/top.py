"""What the other model servers serve: the stored files of a model, and a user's list from them by the book."""

from pathlib import Path
from typing import Any

from shared.matrix import Split
from shared.model import FactorModel, best


class Lists:
    """A model, and what its users have seen."""

    def __init__(self, folder: Path) -> None:
        """Read the files of a model and of its matrix, whose users and movies are the same, in the same order."""
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.model, self.split = FactorModel.from_files(files), Split.from_files("peer", files)
        if (self.model.users, self.model.movies) != (self.split.train.users, self.split.train.movies):
            raise ValueError("the matrix has other users or movies than the model")

    def top(self, user_id: str, n: int = 20) -> dict[str, Any]:
        """Return the n movies that rank highest for a user, without those that the user has seen."""
        row = self.model.user_index[user_id]
        scores = self.model.scores(row)
        places = best(scores, n, without=self.split.train.rated(row))
        return {"movies": [self.model.movies[place] for place in places], "scores": scores[places].tolist()}

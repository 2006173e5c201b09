"""What an engine is given and what it gives: parameters in, the arrays of a model out."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Annotated, Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from shared.errors import BadInput
from shared.events import Algorithm
from shared.model import FactorModel, Floats

Engine = Literal["marquee", "surprise"]
ENGINES: tuple[Engine, ...] = ("marquee", "surprise")

OnEpoch = Callable[[int, float | None], None]
"""Told after each pass: its number from 1, and the RMSE on the ratings held out of training, None if none are."""

Share = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Parameters:
    """What is chosen before a fit.

    n_factors: numbers for each user and movie. n_epochs: passes over the ratings. lr: step of gradient descent.
    reg: weight of the penalty on squared factors and biases, once a rating. lr_bias: the step of biases, `lr` if None.
    lr_final: the share of the steps that is left in the last pass, on a straight line from 1 in the first. init_std:
    standard deviation of the factors at the start. patience: stop after so many passes that made ratings held out
    of training no better, and return the best; 0 trains on all ratings and never stops early.
    """

    n_factors: Annotated[int, Field(ge=1, le=1000)]
    n_epochs: Annotated[int, Field(ge=1, le=1000)]
    lr: Annotated[float, Field(gt=0)]
    reg: Annotated[float, Field(ge=0)]
    lr_bias: Annotated[float, Field(gt=0)] | None = None
    lr_final: Share = 1.0
    init_std: Annotated[float, Field(gt=0)] = 0.1
    patience: Annotated[int, Field(ge=0)] = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the parameters by name."""
        return asdict(self)

    def steps(self, epoch: int) -> tuple[float, float]:
        """Return the steps of factors and of biases in a pass, numbered from 0."""
        left = 1 - (1 - self.lr_final) * epoch / max(self.n_epochs - 1, 1)
        return left * self.lr, left * (self.lr if self.lr_bias is None else self.lr_bias)

    def warmed(self) -> "Parameters":
        """Return the parameters of a fit that starts from a model, with a third of the passes.

        Factors are nearly where they belong and take a third of the step; the biases of newcomers have as far to go as
        ever, and take three times the step. docs/trainers.md has the measurements.
        """
        lr_bias = self.lr if self.lr_bias is None else self.lr_bias
        return replace(self, n_epochs=max(self.n_epochs // 3, 1), lr=self.lr / 3, lr_bias=3 * lr_bias)


DEFAULTS: Final[Mapping[Algorithm, Parameters]] = {
    "svd": Parameters(n_factors=100, n_epochs=20, lr=0.005, reg=0.02),
    "svdpp": Parameters(n_factors=20, n_epochs=20, lr=0.007, reg=0.02),
}
"""scikit-surprise's own."""

_ALL: Final = TypeAdapter(dict[Algorithm, Parameters])


def parameters(given: Any) -> dict[Algorithm, Parameters]:
    """Return the parameters of each algorithm named, as in params.yaml. Raises: BadInput naming every wrong value."""
    try:
        return _ALL.validate_python(given)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}, not {str(e['input'])[:40]}" for e in error.errors()]
        raise BadInput("; ".join(wrong)) from None


@dataclass(frozen=True)
class Order:
    """All that decides a fit, besides the ratings and the model it starts from."""

    algorithm: Algorithm
    parameters: Parameters
    seed: int
    n_threads: int
    engine: Engine = "marquee"

    def as_dict(self) -> dict[str, Any]:
        """Return everything by name, on one level."""
        whole = asdict(self)
        return {**whole.pop("parameters"), **whole}


class Diverged(BadInput):
    """Gradient descent left the finite numbers."""


def refuse_infinite(parameters: Parameters, when: str, *arrays: Floats | None) -> None:
    """Raise Diverged if any number of the arrays is not finite."""
    if not all(np.isfinite(array).all() for array in arrays if array is not None):
        raise Diverged(
            f"descent diverged {when}: lr {parameters.lr:g} or reg {parameters.reg:g} is too large for these ratings"
        )


class Warm(NamedTuple):
    """A model to start from, and where it has the users and movies of the matrix.

    rows: shape (n_users,), columns: (n_movies,); -1 for those that the model does not know.
    """

    model: FactorModel
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


class Fitted(NamedTuple):
    """The arrays of a `FactorModel`, and whose they are.

    rows, columns: the matrix's row of each user and column of each movie, ascending. mean: μ. SVD++'s implicit sum
    is folded into the user's factors.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    mean: float
    user_bias: Floats
    item_bias: Floats
    user_factors: Floats
    item_factors: Floats
    implicit_factors: Floats | None

"""Everything that descent changes: biases and factors, by position, as they begin, and as they end."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from functions.train import kernels
from functions.train.crew import Crew
from functions.train.engine import Fitted, Parameters, Warm
from functions.train.layout import Ints, Layout, Parts, in_order
from shared.events import Algorithm
from shared.model import Floats


@dataclass
class Implicit:
    """What SVD++ has besides: `factors` y_j, and for each user `explicit` p_u, `sums` z_u, `norms` |N(u)|^-½ and
    `decays`, what a pass leaves of a factor that has no other part in it.
    """

    factors: Floats
    explicit: Floats
    sums: Floats
    norms: Floats
    decays: Floats

    def begin(self, keep: float, n_ratings: Ints) -> None:
        """Begin a pass of which each rating leaves `keep` of a factor."""
        with np.errstate(over="ignore"):  # what overflows is refused after the pass
            self.decays[:] = keep**n_ratings

    def gather(self, t: int, parts: Parts, layout: Layout, users: Floats) -> None:
        """Make z_u and w_u of the users of thread t from p_u and the y_j as they stand."""
        tables = self.norms, self.factors, self.explicit, self.sums
        kernels.gather(*parts[t], layout.starts, layout.movies, *tables, users)

    def settle(self, t: int, parts: Parts, users: Floats) -> None:
        """Bring what descent did to w_u to p_u of the users of thread t, and leave in `sums` what it does to y_j."""
        kernels.settle(*parts[t], self.norms, self.decays, users, self.explicit, self.sums)

    def spread(self, t: int, parts: Parts, layout: Layout) -> None:
        """Bring what `settle` left to the y_j of block t."""
        for part in parts:
            kernels.spread(*part, layout.starts[t], layout.movies, self.decays, self.sums, self.factors)


@dataclass
class State:
    """The model in the making; rows of factors are padded with zeros to whole vectors.

    `users` holds w_u, what stands for a user in products: p_u for SVD, p_u + z_u for SVD++.
    """

    user_bias: Floats
    item_bias: Floats
    users: Floats
    items: Floats
    implicit: Implicit | None

    @classmethod
    def drawn(cls, layout: Layout, algorithm: Algorithm, parameters: Parameters, seed: int, crew: Crew) -> Self:
        """Return the state before the first pass: biases 0, factors by chance, the same for any number of threads."""
        n_users, n_movies, n = len(layout.rows), len(layout.columns), parameters.n_factors

        def draw(t: int, factors: Floats, keys: Ints, salt: int) -> None:
            first, last = (len(keys) * each // layout.n_groups for each in (t, t + 1))
            kernels.draw(first, last, 4 * seed + salt, keys, n, parameters.init_std, factors)

        def by_chance(keys: Ints, salt: int) -> Floats:
            factors = _rows(len(keys), n)
            crew(draw, factors, keys, salt)
            return factors

        users, items, implicit = by_chance(layout.rows, 0), by_chance(layout.columns, 1), None
        if algorithm == "svdpp":
            norms = (layout.n_ratings**-0.5).astype(np.float32)
            implicit = Implicit(by_chance(layout.columns, 2), users, _rows(n_users, n), norms, np.ones_like(norms))
            users = _rows(n_users, n)
        return cls(np.zeros(n_users, np.float32), np.zeros(n_movies, np.float32), users, items, implicit)

    def take(self, warm: Warm, layout: Layout, crew: Crew) -> None:
        """Begin with what a model knows of these users and movies: what it predicts for them stays what it was."""
        model, rows, columns = warm.model, warm.rows[layout.rows], warm.columns[layout.columns]
        n = model.item_factors.shape[1]
        users, movies = np.flatnonzero(rows >= 0), np.flatnonzero(columns >= 0)
        rows, columns = rows[users], columns[movies]
        self.user_bias[:] = model.mean - layout.mean
        self.user_bias[users] += model.user_bias[rows]
        self.item_bias[movies] = model.item_bias[columns]
        self.items[movies, :n] = model.item_factors[columns]
        if self.implicit is None or model.implicit_factors is None:
            self.users[users, :n] = model.user_factors[rows]
            return
        self.implicit.factors[movies, :n] = model.implicit_factors[columns]
        self.sum_up(layout, crew)
        self.implicit.explicit[users, :n] = model.user_factors[rows] - self.implicit.sums[users, :n]

    def sum_up(self, layout: Layout, crew: Crew) -> None:
        """Make SVD++'s w_u of p_u and the y_j as they stand."""
        if self.implicit:
            crew(self.implicit.gather, layout.groups, layout, self.users)

    def ordered(self, layout: Layout, n_factors: int) -> Fitted:
        """Return the model in the order of the matrix, without the padding."""
        by_row, by_column = in_order(layout.rows), in_order(layout.columns)
        return Fitted(
            rows=layout.rows[by_row],
            columns=layout.columns[by_column],
            mean=layout.mean,
            user_bias=self.user_bias[by_row],
            item_bias=self.item_bias[by_column],
            user_factors=self.users[by_row, :n_factors],
            item_factors=self.items[by_column, :n_factors],
            implicit_factors=self.implicit.factors[by_column, :n_factors] if self.implicit else None,
        )


def _rows(n: int, n_factors: int) -> Floats:
    """Return zeros of shape (n, n_lanes) that begin on a cache line, lest every second vector lie across two."""
    n_lanes = -(-n_factors // kernels.LANES) * kernels.LANES
    room = np.zeros(n * n_lanes + kernels.LANES, dtype=np.float32)
    first = -room.ctypes.data % 64 // room.itemsize
    return room[first : first + n * n_lanes].reshape(n, n_lanes)

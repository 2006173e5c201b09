"""What a user is likely to watch: every movie's share of all watches, moved towards the user's taste.

A rating model never asks whether a user would watch a movie at all, and its lists lose to plain popularity for it
(Cremonesi, Koren, Turrin, Performance of Recommender Algorithms on Top-N Recommendation Tasks, RecSys 2010). Here
a user's watches are n draws from a distribution π_u over movies, and the π_u of all users have mean μ and covariance
VΛVᵀ. From the shares e of each movie among the n watches, the best linear estimate of π_u is

    π̂ = μ + V z,    z = n / (n + κ) · Vᵀ(e - μ),    κ = σ² / λ

axis by axis, where λ is the variance between users along an axis and σ² that of a single draw: credibility theory
(Bühlmann, Experience Rating and Credibility, ASTIN Bulletin 1967). Who watched nothing is expected to watch what
everybody watches, and κ watches weigh as much as everybody does.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

_LEAST_CHANCE: Final = 0.01  # of the share


@dataclass(frozen=True, eq=False)
class Watching:
    """How watches are spread over movies, and how users differ in it.

    `share` is μ, shape (n_movies,), its sum 1; `axes` is V, shape (n_movies, n_axes), its columns orthonormal;
    `inertia` is κ in watches, shape (n_axes,), above 0.
    """

    share: Floats
    axes: Floats
    inertia: Floats

    @cached_property
    def _centre(self) -> Floats:
        centre: Floats = self.share @ self.axes
        return centre

    def taste(self, watched: Indices) -> Floats:
        """Return z, shape (n_axes,), of who watched these movies, places from 0 on; 0 for who watched none."""
        if not len(watched):
            return np.zeros_like(self.inertia)
        away = self.axes[watched].mean(axis=0) - self._centre
        taste: Floats = away * (len(watched) / (len(watched) + self.inertia))
        return taste

    def contributions(self, place: int, watched: Indices) -> Floats:
        """Return what each watched movie adds to the chance of the one at `place`, shape (n_watched,)."""
        each: Floats = (self.axes[watched] - self._centre) @ (self.axes[place] / (len(watched) + self.inertia))
        return each

    def chances(self, taste: Floats) -> Floats:
        """Return π̂, the chance that the next watch is of each movie, shape (n_movies,).

        A linear estimate may fall below 0; no movie is held for less than a hundredth as likely as for everybody.
        """
        chances: Floats = np.maximum(self.share + self.axes @ taste, np.float32(_LEAST_CHANCE) * self.share)
        return chances

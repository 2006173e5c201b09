"""What there is to say of each arm, as numbers to read, and as evidence for a verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from functions.evaluate_online import core
from functions.evaluate_online.gather import Acts, Ids, Lists
from functions.evaluate_online.guardrails import Level
from functions.evaluate_online.sequence import Arm, Stratum
from shared.accuracy import rmse
from shared.model import FactorModel, places

SLOW_MS: Final = 500.0
"""An answer that takes longer is counted as slow: the site waits for 600 ms."""

_LEAST_AUDIENCE: Final = 0.1
_SERVED: Final = 200


@dataclass(frozen=True)
class Behaviour:
    """All that happened in a period of unchanged weights.

    `requests`, `watches` and `ratings` carry the site's clock, which is `clock_ahead` microseconds ahead of ours;
    `until` is up to when they are in.
    """

    ids: Ids
    lists: Lists
    requests: Lists
    watches: Acts
    ratings: Acts
    clock_ahead: int
    until: int

    @classmethod
    def of(cls, ids: Ids, lists: Lists, requests: Lists, watches: Acts, ratings: Acts) -> "Behaviour":
        """Return what happened, the clocks compared."""
        ahead = core.skew(requests, lists)
        return cls(ids, lists, requests, watches, ratings, ahead, core.watermark(watches, ahead))

    def arm(self, name: str, revision: str, window: int) -> "OneArm":
        """Return what happened to the users of an arm, whom a revision shall answer."""
        return OneArm(self, name, revision, window)


@dataclass(frozen=True)
class OneArm:
    """An arm: what its users were served, whichever model answered, and what they did."""

    behaviour: Behaviour
    name: str
    revision: str
    window: int

    @cached_property
    def lists(self) -> Lists:
        """The lists of its users."""
        return self.behaviour.lists.where(self.behaviour.lists.are("arm", self.name))

    @cached_property
    def outcomes(self) -> core.Outcomes:
        """What came of its users whose window has closed."""
        behaviour = self.behaviour
        return core.outcomes(self.lists, behaviour.watches, behaviour.clock_ahead, self.window, behaviour.until)

    @cached_property
    def requests(self) -> Lists:
        """What the site got for its users, errors too."""
        requests = self.behaviour.requests
        return requests.where(np.isin(requests.users, self.lists.users))

    @property
    def hits(self) -> Arm:
        """How many of its users watched a movie of their lists."""
        return _sums(self.outcomes.hits)

    @property
    def fallbacks(self) -> Arm:
        """The share of lists that the arm's own revision did not make: another model did, or they are the popular."""
        return _sums(core.per_user(self.lists, ~self.lists.are("revision", self.revision)))

    @property
    def errors(self) -> Arm:
        """The share of requests that the site got no list for."""
        return _sums(core.per_user(self.requests, self.requests.status != _SERVED))

    @property
    def slow(self) -> Arm:
        """The share of lists that took too long."""
        return _sums(core.per_user(self.lists, self.lists.milliseconds > SLOW_MS))

    def summary(self, model: FactorModel | None) -> dict[str, Any]:
        """Return the numbers of the arm; None where nothing can be said."""
        lists, outcomes, behaviour = self.lists, self.outcomes, self.behaviour
        liked = core.liked(lists, behaviour.ratings, behaviour.clock_ahead)
        error, n_predicted = self._prediction_error(model)
        return {
            "lists": len(lists),
            "users": len(np.unique(lists.users)),
            "closed_users": len(outcomes.users),
            "hit_rate": _mean(outcomes.hits),
            "minutes": _mean(outcomes.minutes),
            "rating_of_recommended": _mean(liked),
            "raters_of_recommended": len(liked),
            "rmse": error,
            "predicted_ratings": n_predicted,
            "movies": len(np.unique(lists.movies)),
            "popular_share": core.popular_share(lists, behaviour.watches),
            "diversity": core.diversity(lists),
            "fallback_share": _share(self.fallbacks),
            "error_share": _share(self.errors),
            "p99_ms": float(np.percentile(lists.milliseconds, 99)) if len(lists) else None,
            "site_p99_ms": float(np.percentile(self.requests.milliseconds, 99)) if len(self.requests) else None,
        }

    def _prediction_error(self, model: FactorModel | None) -> tuple[float | None, int]:
        """Return the model's error on what the arm's users rated since, and on how many ratings."""
        ratings = self.behaviour.ratings
        mine = np.isin(ratings.users, self.lists.users)
        if model is None or not mine.any():
            return None, 0
        ids = self.behaviour.ids
        rows = places(ids.users.texts.to_pylist(), model.user_index)[ratings.users[mine]]
        columns = places(ids.movies.texts.to_pylist(), model.movie_index)[ratings.movies[mine]]
        known = (rows >= 0) & (columns >= 0)
        if not known.any():
            return None, 0
        predicted = model.predict_at(rows[known], columns[known])
        return round(rmse(ratings.values[mine][known], predicted), 6), int(known.sum())


def evidence(canary: OneArm, stable: OneArm) -> tuple[Stratum, Mapping[str, tuple[Stratum, ...]], Mapping[str, Level]]:
    """Return what a verdict rests on: who watched, the shares of what should not happen, and levels of the lists."""
    n_lists = min(len(canary.lists), len(stable.lists))
    shares = {
        "errors": (Stratum(canary.errors, stable.errors),),
        "fallbacks": (Stratum(canary.fallbacks, stable.fallbacks),),
        "slow answers": (Stratum(canary.slow, stable.slow),),
    }
    _, ours, theirs = core.crowding(canary.lists, stable.lists)
    levels = {
        "coverage": Level(core.coverage(canary.lists, n_lists), core.coverage(stable.lists, n_lists)),
        "audience of one movie": Level(ours, max(theirs, _LEAST_AUDIENCE)),
    }
    return Stratum(canary.hits, stable.hits), shares, levels


def _sums(values: NDArray[Any]) -> Arm:
    numbers = values.astype(np.float64)
    return Arm(len(numbers), float(numbers.sum()), float((numbers * numbers).sum()))


def _mean(values: NDArray[Any]) -> float | None:
    return round(float(values.mean()), 6) if len(values) else None


def _share(arm: Arm) -> float | None:
    return round(arm.total / arm.n_users, 6) if arm.n_users else None

"""What there is to say of each arm, as numbers to read, and as evidence for a verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from functions.evaluate_online import core, variety
from functions.evaluate_online.behaviour import Behaviour
from functions.evaluate_online.guardrails import Level
from functions.evaluate_online.lists import Bools, Floats, Ints, Lists, Requests, Times
from functions.evaluate_online.sequence import Arm, Stratum
from shared.accuracy import rmse
from shared.model import FactorModel, places

SLOW_MS: Final = 500.0
"""An answer that takes longer is counted as slow: the site waits for 600 ms."""

LEAST_AUDIENCE: Final = 0.1
"""A movie that fewer users of stable are shown is judged as if so many were: rare ones may well become common."""


@dataclass(frozen=True)
class OneArm:
    """An arm: what its users were served, whichever model answered, and what they did within `window` microseconds."""

    behaviour: Behaviour
    name: str
    revision: str
    window: int

    @cached_property
    def lists(self) -> Lists:
        """The lists of its users that it was asked for, also those that were lost on their way."""
        lists = self.behaviour.lists
        is_asked = self.behaviour.are_of(self.name, lists) & (lists.arms == lists.number(self.name))
        return lists.take(is_asked & self.behaviour.known)

    @cached_property
    def shown(self) -> Times:
        """In how many of its lists each movie stands that stands in any."""
        return variety.shown(self.lists)

    @cached_property
    def seen(self) -> Lists:
        """The lists that its users got, from it or another."""
        lists = self.behaviour.lists
        return lists.take(self.behaviour.are_of(self.name, lists) & self.behaviour.came)

    @cached_property
    def outcomes(self) -> core.Outcomes:
        """What came of its users whose window has closed."""
        return core.outcomes(self.seen, self.behaviour.watches, self.window, self.behaviour.until)

    @cached_property
    def requests(self) -> Requests:
        """What the site got for its users, errors too."""
        requests = self.behaviour.requests
        return requests.take(self.behaviour.are_of(self.name, requests))

    @property
    def hits(self) -> Arm:
        """How many of its users watched a movie of their lists."""
        return _sums(self.outcomes.hits)

    @property
    def fallbacks(self) -> Arm:
        """The share of lists that the arm's own revision did not make: another model did, or they are the popular."""
        return _sums(core.averages(self.lists.users, self.lists.revisions != self.lists.number(self.revision)))

    @property
    def errors(self) -> Arm:
        """The share of requests that the site got no list for."""
        return _sums(core.averages(self.requests.users, self.requests.failed))

    @property
    def slow(self) -> Arm:
        """The share of lists that took too long."""
        return _sums(core.averages(self.lists.users, self.lists.milliseconds > SLOW_MS))

    def summary(self, model: FactorModel | None) -> dict[str, Any]:
        """Return the numbers of the arm; None where nothing can be said."""
        lists, outcomes = self.lists, self.outcomes
        liked = core.liked(self.seen, self.behaviour.ratings)
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
            "movies": len(self.shown),
            "popular_share": variety.share_of(self.behaviour.top, lists),
            "diversity": variety.diversity(self.shown, len(lists)),
            "fallback_share": _share(self.fallbacks),
            "error_share": _share(self.errors),
            "p99_ms": _p99(lists),
            "site_p99_ms": _p99(self.requests),
        }

    def _prediction_error(self, model: FactorModel | None) -> tuple[float | None, int]:
        """Return the model's error on what the arm's users rated since, and on how many ratings."""
        ratings, ids = self.behaviour.ratings, self.behaviour.ids
        ratings = ratings.take(np.isin(ratings.users, self.lists.users))
        if model is None or not len(ratings):
            return None, 0
        rows = _rows(ratings.users, ids.users.texts, model.user_index)
        columns = _rows(ratings.movies, ids.movies.texts, model.movie_index)
        known = (rows >= 0) & (columns >= 0)
        if not known.any():
            return None, 0
        predicted = model.predict_at(rows[known], columns[known])
        return round(rmse(ratings.values[known], predicted), 6), int(known.sum())


def watched(canary: OneArm, stable: OneArm) -> tuple[Stratum, ...]:
    """Return who watched. Where nobody did in either arm, nothing is being measured, and nothing is known."""
    hits = Stratum(canary.hits, stable.hits)
    return (hits,) if hits.canary.total or hits.stable.total else ()


def shares(canary: OneArm, stable: OneArm) -> Mapping[str, tuple[Stratum, ...]]:
    """Return by name the shares of what should not happen."""
    return {
        "errors": (Stratum(canary.errors, stable.errors),),
        "fallbacks": (Stratum(canary.fallbacks, stable.fallbacks),),
        "slow answers": (Stratum(canary.slow, stable.slow),),
    }


def levels(canary: OneArm, stable: OneArm) -> Mapping[str, Level]:
    """Return by name what the lists of the arms are like; nothing while one of them has none."""
    firsts = [variety.first_of_each_user(arm.lists) for arm in (canary, stable)]
    n_users = min(map(len, firsts))
    if not n_users:
        return {}
    _, ours, theirs = variety.crowding(canary.lists, stable.lists, LEAST_AUDIENCE)
    return {
        "coverage": Level(*(variety.coverage(variety.shown(each), len(each), n_users) for each in firsts)),
        "audience of one movie": Level(ours, theirs, LEAST_AUDIENCE),
    }


def _rows(numbers: Ints, texts: Any, index: Mapping[str, int]) -> NDArray[np.int64]:
    """Return where a model has each user or movie, -1 where it does not; each is looked up once."""
    different, place = np.unique(numbers, return_inverse=True)
    return places(texts.take(different).to_pylist(), index)[place]


def _sums(values: Floats | Bools) -> Arm:
    numbers = values.astype(np.float64)
    return Arm(len(numbers), float(numbers.sum()), float((numbers * numbers).sum()))


def _mean(values: NDArray[Any]) -> float | None:
    return round(float(values.mean()), 6) if len(values) else None


def _share(arm: Arm) -> float | None:
    return round(arm.total / arm.n_users, 6) if arm.n_users else None


def _p99(requests: Requests) -> float | None:
    return float(np.percentile(requests.milliseconds, 99)) if len(requests) else None

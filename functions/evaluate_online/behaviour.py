"""What happened in a period, and which of it counts for whom."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from functions.evaluate_online import site, variety
from functions.evaluate_online.gather import Ids
from functions.evaluate_online.lists import MINUTE_US, Acts, Bools, Ints, Lists, Requests


@dataclass(frozen=True)
class Behaviour:
    """All that happened in a period of unchanged weights, by our clock.

    `ratings` holds one of each user and movie; `until` is up to when watches are in.
    """

    ids: Ids
    lists: Lists
    requests: Requests
    watches: Acts
    ratings: Acts
    until: int

    @cached_property
    def came(self) -> Bools:
        """Which of the lists the site got."""
        return site.came(self.lists, self.requests.take(~self.requests.failed), self.until)

    @cached_property
    def known(self) -> Bools:
        """Which of the lists are of users of the site, as its log says; ids that somebody made up count for nothing."""
        return site.known(self.lists, self.requests, self.until)

    @cached_property
    def dealt(self) -> Ints:
        """The arm of each user, as a number, shape (n_ids,), -1 for none.

        It is the arm of the user's first list. Whoever is dealt another one later, as by a copy that has just started
        and knows no weights, stays: to leave them out would leave out those who come often, and more in one arm.
        """
        users, first = np.unique(self.lists.users, return_index=True)
        arm_of = np.full(len(self.ids.users.texts), -1, dtype=np.int32)
        arm_of[users] = self.lists.arms[first]
        return arm_of

    def are_of(self, arm: str, requests: Requests) -> Bools:
        """Return which requests, or lists, are of users of an arm."""
        found: Bools = self.dealt[requests.users] == self.lists.number(arm)
        return found

    @cached_property
    def top(self) -> Ints:
        """The movies that are watched most."""
        return variety.most_watched(self.watches)

    def between(self, since: int, until: int) -> "Behaviour":
        """Return what came of the lists from a moment on, and before another."""
        ratings = self.ratings.take(self.ratings.times >= since)
        lists = self.lists.between(since, until)
        requests = self.requests.between(since - MINUTE_US, until + MINUTE_US)  # clocks are compared to the second
        return Behaviour(self.ids, lists, requests, self.watches, ratings, self.until)

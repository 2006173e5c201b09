"""Who visits the site, and what they do there: choices that follow from tastes, chance, and what was seen before."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Final, NamedTuple

from cli.simulator.chance import Chance, of_visit
from cli.simulator.population import Population

RATES: Final = 0.8
"""The share of those who watched who also rate."""

_BLOCK_MINUTES: Final = 60
_PAUSE_SECONDS: Final = 30.0
_LONGEST_PAUSE_SECONDS: Final = 120.0
_STAY_FROM: Final = 3.0


class Visit(NamedTuple):
    """A user comes to the site; `is_new` if they never came before."""

    moment: int
    user: int
    is_new: bool
    chance: Chance


class Watched(NamedTuple):
    """What a visit leads to, and whether it was recommended; `rating` is None if the user keeps it to themselves."""

    movie: str
    is_hit: bool
    pause_seconds: float
    minutes: int
    rating: float | None

    def requests(self) -> Iterator[tuple[float, str]]:
        """Yield what the site logs, and how many seconds after the visit began: a line for each hour watched."""
        for minute in range(0, self.minutes + 1, _BLOCK_MINUTES):
            yield self.pause_seconds + 60 * minute, f"GET /data/m/{self.movie}/{minute}.mpg"
        if self.rating is not None:
            yield self.pause_seconds + 60 * self.minutes + 1, f"GET /rate/{self.movie}={self.rating:g}"


@dataclass
class Crowd:
    """The users as time goes by. `moment` is the next visit; what users have seen is forgotten when they leave."""

    population: Population
    moment: int = 0
    _seen: dict[int, set[int]] = field(default_factory=dict)
    _left: int = 1

    def visit(self) -> Visit:
        """Return the next visit."""
        moment, people = self.moment, self.population
        self.moment += 1
        while self._left < people.oldest(moment):
            self._seen.pop(self._left, None)
            self._left += 1
        chance = of_visit(people.seed, moment)
        user = people.visitor(moment, chance.who)
        is_new = user not in self._seen
        self._seen.setdefault(user, set())
        return Visit(moment, user, is_new, chance)

    def seen(self, user: int) -> Collection[int]:
        """Return the places of the movies that a user has seen, none of a user who left."""
        return self._seen.get(user, ())

    def watch(self, visit: Visit, listed: Sequence[str]) -> Watched | None:
        """Return what a visitor does with a list, which may be empty: watch a movie of it, or one of their own choice.

        One number decides whether and which movie is taken, so of two lists a better one is taken whenever a worse one
        would be. None if there is nothing that they have not seen.
        """
        people, chance = self.population, visit.chance
        person = people.person(visit.user, visit.moment)
        seen = self.seen(visit.user)
        at = int((people.takes(person, listed, seen) <= chance.takes).sum())
        if is_hit := at < len(listed):
            place = people.place[listed[at]]
        else:
            passed_over = {*seen, *(people.place.get(movie, -1) for movie in listed)}
            wishes = [place for place in people.wish(person, chance.wishes) if place not in passed_over]
            if not wishes:
                return None
            place = wishes[0]
        if visit.user in self._seen:
            self._seen[visit.user].add(place)
        rating = people.rating(person, place, chance.noise)
        length = int(people.minutes[place])
        return Watched(
            movie=people.movies[place],
            is_hit=is_hit,
            pause_seconds=min(-_PAUSE_SECONDS * log(1 - chance.pause), _LONGEST_PAUSE_SECONDS),
            minutes=length if rating >= _STAY_FROM else int(chance.stays * length),
            rating=rating if chance.rates < RATES else None,
        )

"""People and movies whose tastes are known, because they are planted.

With tastes p_u and q_i, the affinity of a user for a movie is a_ui = p_u · q_i, of mean 0 and variance 1 over all
pairs; s_i is 1 / rank, by popularity. Who chooses freely watches movie i with a chance in proportion to

    s_i^0.8 exp(2 a_ui)

Whoever reads a list looks at its place k with the chance 1 / log2(k + 1), takes a movie looked at with the chance

    w_ui = x / (x + 100),    x = s_i^0.4 exp(2 a_ui)

and stops there: the cascade model (Craswell, Zoeter, Taylor, Ramsey, WSDM 2008). So popular movies are taken more often
than others, but less so than they are watched: many people merely never hear of the others. The constants are such
that users who have been there a dozen times take something of 10 to 15 % of lists of popular movies, 20 to 35 % of
those that a model learnt to make for them, and 3 to 8 % of those that hold any movies. Newcomers, who have seen
nothing of what is popular, take something of a quarter or more.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cli.simulator.chance import MOVIES, USERS, Floats, about
from shared.errors import BadInput
from shared.lines import is_movie_id

_ZIPF: Final = 0.8
_ZIPF_OF_LISTS: Final = 0.4
_STEEPNESS: Final = 2.0
_RELUCTANCE: Final = 100.0

_MEAN_RATING: Final = 3.5
_USUAL_AFFINITY: Final = 1.0  # of what people choose themselves
_RATING_OF_AFFINITY: Final = 0.6
_RATING_SPREAD: Final = 0.3  # of users' and of movies' biases
_RATING_NOISE: Final = 0.5

_MINUTES: Final = (70, 160)


class Person(NamedTuple):
    """A user at a moment: what they like, and how far their ratings lie above those of others."""

    taste: Floats
    bias: float


@dataclass(frozen=True, eq=False)
class Population:
    """Users 1, 2, … who visit the site one after another; equal arguments make equal people.

    Moments are counted in visits. At every moment `n_users` consecutive users are on the site: with every visit
    `turnover` of a user arrives, and as much leaves. `drift` is the angle, in radians, by which everybody's taste has
    turned when the average user has come once more. No chance depends on what users are recommended, so that services
    can be compared on the very same people.

    Raises: BadInput for numbers that make no population.
    """

    seed: int
    movies: Sequence[str]
    n_users: int = 5_000
    n_factors: int = 4
    turnover: float = 0.01
    drift: float = 0.01

    def __post_init__(self) -> None:
        if not self.movies or len(set(self.movies)) != len(self.movies):
            raise BadInput("a population needs movies, each once")
        if odd := [movie for movie in self.movies if not is_movie_id(movie)]:
            raise BadInput(f"{odd[0]!r} is no movie id of the site")
        if self.seed < 0 or self.n_users < 1 or self.n_factors < 1 or not 0 <= self.turnover <= 1:
            raise BadInput("a population needs a seed from 0, users, factors, and a turnover from 0 to 1")

    @cached_property
    def place(self) -> dict[str, int]:
        """The place of each movie in `movies`."""
        return {movie: place for place, movie in enumerate(self.movies)}

    @cached_property
    def tastes(self) -> Floats:
        """q_i, the taste of each movie, shape (n_movies, n_factors)."""
        return about(self.seed, MOVIES, 0).standard_normal((len(self.movies), self.n_factors))

    @cached_property
    def popularity(self) -> Floats:
        """log s_i of each movie, 0 for the most popular, shape (n_movies,)."""
        ranks = about(self.seed, MOVIES, 1).permutation(len(self.movies)) + 1
        return -np.log(ranks.astype(np.float64))

    @cached_property
    def quality(self) -> Floats:
        """How far the ratings of each movie lie above those of others, shape (n_movies,)."""
        return about(self.seed, MOVIES, 2).normal(0, _RATING_SPREAD, len(self.movies))

    @cached_property
    def minutes(self) -> NDArray[np.int64]:
        """The length of each movie in minutes, shape (n_movies,)."""
        return about(self.seed, MOVIES, 3).integers(*_MINUTES, len(self.movies))

    def oldest(self, moment: int) -> int:
        """Return the lowest user who has not left."""
        return 1 + int(moment * self.turnover)

    def visitor(self, moment: int, who: float) -> int:
        """Return the user that a number from 0 to 1 stands for."""
        return self.oldest(moment) + int(who * self.n_users)

    def person(self, user: int, moment: int) -> Person:
        """Return a user as they are at a moment."""
        chance = about(self.seed, USERS, user)
        now, later = chance.normal(0, self.n_factors**-0.5, (2, self.n_factors))
        angle = self.drift * moment / self.n_users
        return Person(np.cos(angle) * now + np.sin(angle) * later, chance.normal(0, _RATING_SPREAD))

    def wish(self, person: Person, numbers: Floats) -> list[int]:
        """Return the places of the movies that a person would choose freely, one for each number from 0 to 1."""
        total = np.cumsum(np.exp(_ZIPF * self.popularity + _STEEPNESS * (self.tastes @ person.taste)))
        places: list[int] = np.searchsorted(total, numbers * total[-1]).tolist()
        return places

    def takes(self, person: Person, listed: Sequence[str], seen: Collection[int] = ()) -> Floats:
        """Return the chance that a person has taken a movie once they are through with each place, shape (n_listed,).

        The last is the chance that they take any. Nobody takes a movie that they have seen, or that there is not.

        Args: listed: movies, best first; seen: places.
        """
        places = np.array([self.place.get(movie, -1) for movie in listed], dtype=np.int64)
        x = np.exp(_ZIPF_OF_LISTS * self.popularity[places] + _STEEPNESS * (self.tastes[places] @ person.taste))
        new = np.array([place >= 0 and place not in seen for place in places.tolist()], dtype=np.bool_)
        taken = np.where(new, x / (x + _RELUCTANCE), 0) / np.log2(np.arange(len(listed)) + 2)
        return 1 - np.cumprod(1 - taken, dtype=np.float64)

    def hit_chance(self, user: int, listed: Sequence[str], moment: int = 0, seen: Collection[int] = ()) -> float:
        """Return the true chance that a user takes a movie of a list: what any comparison of lists estimates."""
        return float(self.takes(self.person(user, moment), listed, seen)[-1]) if listed else 0.0

    def rating(self, person: Person, place: int, noise: float) -> float:
        """Return how a person rates a movie, in half steps from 0.5 to 5; noise is standard normal."""
        affinity = float(self.tastes[place] @ person.taste) - _USUAL_AFFINITY
        usual = _MEAN_RATING + person.bias + float(self.quality[place]) + _RATING_OF_AFFINITY * affinity
        return scale(usual + _RATING_NOISE * noise)

    def usual_rating(self, place: int) -> float:
        """Return how the average person who watches a movie rates it."""
        return scale(_MEAN_RATING + float(self.quality[place]))


def scale(rating: float) -> float:
    """Return the nearest half step from 0.5 to 5."""
    return min(5.0, max(0.5, round(2 * rating) / 2))


def numbered(n_movies: int) -> list[str]:
    """Return the ids of movies that need no more than an id."""
    return [str(number) for number in range(1, n_movies + 1)]

"""What users did before there were recommendations, and what attackers make believe, as lines of the log."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from cli.simulator.crowd import Crowd
from cli.simulator.population import Population
from shared.errors import BadInput

FIRST_ATTACKER: Final = 10**9

_N_FILLERS: Final = 20
_CAMPAIGN: Final = timedelta(hours=1)
_MOST_FRUITLESS: Final = 10_000


def history(
    crowd: Crowd,
    n_ratings: int,
    now: datetime,
    days: float = 30,
    on_rating: Callable[[int], None] = lambda _: None,
) -> list[bytes]:
    """Return the lines of a crowd that chooses by itself until it has rated so often, no two at the same time.

    They end at `now`; the visits are spread over the days before. The crowd is left as it is then.
    Raises: BadInput if its users have hardly anything left to watch.
    """
    visits: list[list[tuple[float, str]]] = []
    rated, fruitless = 0, 0
    while rated < n_ratings:
        visit = crowd.visit()
        requests = [(0.0, f"{visit.user},GET /create_account")] if visit.is_new else []
        watched = crowd.watch(visit, [])
        fruitless = 0 if watched else fruitless + 1
        if fruitless > _MOST_FRUITLESS:
            raise BadInput(f"{crowd.population.n_users} users have seen it all before {n_ratings} ratings")
        if watched:
            requests += [(after, f"{visit.user},{what}") for after, what in watched.requests()]
            if watched.rating is not None:
                rated += 1
                on_rating(rated)
        visits.append(requests)
    seconds = days * 86_400 / max(len(visits), 1)
    return _lines(((number * seconds + at, what) for number, each in enumerate(visits) for at, what in each), now)


def spam(population: Population, movie: str, share: float, now: datetime) -> list[bytes]:
    """Return the lines of fake profiles that push one movie, as many as a share of the users, within the last hour.

    Each rates the movie 5, and popular movies as everybody does, to look ordinary: the average attack (Lam and Riedl,
    Shilling Recommender Systems for Fun and Profit, WWW 2004). Raises: BadInput for a movie that there is not, or a
    share that is none.
    """
    if movie not in population.place or not 0 < share <= 1:
        raise BadInput(f"attackers need a movie of the catalogue and a share above 0, not {movie!r} and {share}")
    chance = np.random.default_rng([population.seed, population.place[movie]])
    weights = np.exp(population.popularity)
    weights[population.place[movie]] = 0
    n_fillers = min(_N_FILLERS, len(population.movies) - 1)
    requests: list[tuple[float, str]] = []
    for user in range(FIRST_ATTACKER, FIRST_ATTACKER + max(1, round(share * population.n_users))):
        fillers = chance.choice(len(weights), n_fillers, replace=False, p=weights / weights.sum()).tolist()
        ratings = [(population.movies[place], population.usual_rating(place)) for place in fillers] + [(movie, 5.0)]
        began, *times = np.sort(chance.uniform(0, _CAMPAIGN.total_seconds(), len(ratings) + 1)).tolist()
        requests.append((began, f"{user},GET /create_account"))
        for at, number in zip(times, chance.permutation(len(ratings)).tolist(), strict=True):
            requests.append((at, f"{user},GET /rate/{ratings[number][0]}={ratings[number][1]:g}"))
    return _lines(requests, now)


def _lines(requests: Iterable[tuple[float, str]], now: datetime) -> list[bytes]:
    """Return requests, at seconds from any beginning on, as lines in the order of time, the last of them now."""
    requests = sorted(requests)
    if not requests:
        return []
    order = np.arange(len(requests))
    micros = (np.array([at for at, _ in requests]) * 1e6).astype(np.int64)
    micros = np.maximum.accumulate(micros - order) + order  # who would come at the same time comes a microsecond later
    times = np.datetime64(int(now.timestamp() * 1e6), "us") + (micros - micros[-1]).astype("timedelta64[us]")
    stamps = np.datetime_as_string(times, unit="us").tolist()
    return [f"{stamp},{what}".encode() for stamp, (_, what) in zip(stamps, requests, strict=True)]

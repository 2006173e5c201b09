"""The point of it all: what is planted can be found, and what is broken can be told from what is not."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pytest

from cli.simulator.crowd import Crowd
from cli.simulator.past import history
from cli.simulator.planted import shuffled
from cli.simulator.population import Population, numbered
from functions.build_matrix import core as building
from functions.build_matrix import gather
from functions.train import core as training
from shared.lines import Limits, parse
from shared.model import FactorModel, places
from shared.ranking import top
from shared.records import to_table
from shared.rows import Place

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PEOPLE = Population(seed=7, movies=numbered(2_000), n_users=5_000)


@dataclass
class Past:
    """A crowd after 50,000 ratings, a model trained on them, what was popular, and some of the users."""

    crowd: Crowd
    model: FactorModel
    popular: list[str]
    users: list[str]

    def hit_chance(self, user: str, listed: list[str]) -> float:
        return PEOPLE.hit_chance(int(user), listed, self.crowd.moment, self.crowd.seen(int(user)))

    def of_popular(self) -> float:
        """The same for the list of what is popular."""
        return float(np.mean([self.hit_chance(user, self.popular) for user in self.users]))

    def of(self, model: FactorModel) -> float:
        """The mean true chance that a user watches something of the list that a model makes for them."""
        found = []
        for user in self.users:
            seen = places([PEOPLE.movies[place] for place in self.crowd.seen(int(user))], model.movie_index)
            best = top(model, model.profile(model.user_index[user]), 20, seen)
            found.append(self.hit_chance(user, [model.movies[place] for place in best.places]))
        return float(np.mean(found))


@pytest.fixture(scope="module")
def past():
    crowd = Crowd(PEOPLE)
    at = int(NOW.timestamp() * 1e6)
    lines = enumerate(line for line in history(crowd, 50_000, NOW) if b"GET /rate/" in line)
    rows = (parse(line, Place("movielog", 0, offset, at), Limits()) for offset, line in lines)
    train = building.build(gather.ratings(to_table(rows).to_batches()), 0.1).train
    model = training.fit(train, "svd", training.DEFAULTS["svd"], seed=1)
    liked = np.bincount(train.ratings.indices[train.ratings.data >= train.ratings.data.mean()])
    popular = [train.movies[column] for column in np.argsort(-liked)[:20].tolist()]
    users = [user for user in model.users[::10] if int(user) >= PEOPLE.oldest(crowd.moment)]
    return Past(crowd, model, popular, users)


def test_a_model_finds_the_planted_tastes(past):
    """Its lists are taken from half as often again as popular movies, by every fifth to every third user."""
    hits, of_popular = past.of(past.model), past.of_popular()
    assert hits > 1.5 * of_popular
    assert 0.2 < hits < 0.35
    assert 0.1 < of_popular < 0.16


def test_who_has_seen_nothing_takes_something_of_a_quarter_of_popular_lists_or_more(past):
    """So lists of newcomers are no measure of those of others."""
    hits = np.mean([PEOPLE.hit_chance(int(user), past.popular) for user in past.users])
    assert 0.22 < hits < 0.35


def test_a_model_that_mistakes_movies_for_others_is_worse_by_how_many_it_mistakes(past):
    """A release must see the difference; one that mistakes all of them might as well list any movies."""
    whole, some, no_movie = (past.of(shuffled(past.model, seed=1, share=share)) for share in (0.0, 0.2, 1.0))
    assert whole == past.of(past.model)
    assert no_movie < some < 0.95 * whole
    assert 0.03 < no_movie < 0.08


def test_a_shuffled_model_is_a_model_of_the_same_movies(past):
    """Nothing that a server checks would tell it from a good one."""
    bad = shuffled(past.model, seed=1)
    assert sorted(bad.movies) == sorted(past.model.movies)
    assert sum(now == before for now, before in zip(bad.movies, past.model.movies, strict=True)) < 20
    assert FactorModel.from_files(bad.to_files()).movies == bad.movies

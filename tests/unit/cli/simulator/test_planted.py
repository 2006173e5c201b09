"""The point of it all: what is planted can be found, and what is broken can be told from what is not."""

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
from shared.model import places
from shared.ranking import top
from shared.records import to_table
from shared.rows import Place

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PEOPLE = Population(seed=7, movies=numbered(2_000), n_users=5_000)


@pytest.fixture(scope="module")
def hits():
    """The mean true chance of a hit, by what makes the lists: a model of 50,000 ratings, popularity, a broken model."""
    crowd = Crowd(PEOPLE)
    at = int(NOW.timestamp() * 1e6)
    lines = enumerate(line for line in history(crowd, 50_000, NOW) if b"GET /rate/" in line)
    rows = (parse(line, Place("movielog", 0, offset, at), Limits()) for offset, line in lines)
    train = building.build(gather.ratings(to_table(rows).to_batches()), 0.1).train
    model = training.fit(train, "svd", training.DEFAULTS["svd"], seed=1)
    liked = np.bincount(train.ratings.indices[train.ratings.data >= train.ratings.data.mean()])
    popular = [train.movies[column] for column in np.argsort(-liked)[:20].tolist()]
    users = [user for user in model.users[::10] if int(user) >= PEOPLE.oldest(crowd.moment)]

    def chance(user, listed):
        return PEOPLE.hit_chance(int(user), listed, crowd.moment, crowd.seen(int(user)))

    def chance_by(made_by):
        found = []
        for user in users:
            seen = places([PEOPLE.movies[place] for place in crowd.seen(int(user))], made_by.movie_index)
            best = top(made_by, made_by.profile(made_by.user_index[user]), 20, seen)
            found.append(chance(user, [made_by.movies[place] for place in best.places]))
        return float(np.mean(found))

    return {
        "model": chance_by(model),
        "popular": float(np.mean([chance(user, popular) for user in users])),
        "shuffled": chance_by(shuffled(model, seed=1)),
    }


def test_a_model_finds_the_planted_tastes(hits):
    """Its lists are taken from half as often again as popular movies, by every fifth to every third user."""
    assert hits["model"] > 1.5 * hits["popular"]
    assert 0.2 < hits["model"] < 0.35
    assert 0.1 < hits["popular"] < 0.16


def test_a_model_that_mistakes_movies_for_others_is_much_worse(hits):
    """Worse than popular movies: what a release must never keep."""
    assert hits["shuffled"] < 0.6 * hits["popular"]

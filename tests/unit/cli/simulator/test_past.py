from collections import Counter
from datetime import UTC, datetime

import pytest

from cli.simulator.crowd import Crowd
from cli.simulator.past import FIRST_ATTACKER, history, spam
from cli.simulator.population import Population, numbered
from shared.errors import BadInput
from shared.lines import Limits, parse
from shared.rows import Place

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MICROS = int(NOW.timestamp() * 1e6)


def people(seed=5):
    return Population(seed, numbered(300), n_users=200)


def rows(lines):
    return [parse(line, Place("movielog", 0, offset, MICROS), Limits()) for offset, line in enumerate(lines)]


def test_the_same_seed_writes_the_same_lines():
    """Byte by byte; another seed writes others, and so does the same crowd later on."""
    crowd = Crowd(people())
    first = history(crowd, 500, NOW)
    assert first == history(Crowd(people()), 500, NOW)
    assert first != history(crowd, 500, NOW)
    assert first != history(Crowd(people(6)), 500, NOW)


def test_the_past_is_as_the_parser_wants_it():
    """Nothing in quarantine, as many ratings as asked for, each line at a time of its own, in order, the last now."""
    found = rows(history(Crowd(people()), 2_000, NOW, days=30))
    kinds = Counter(row.kind for row in found)
    assert kinds.keys() == {"account", "watch", "rating"}
    assert kinds["rating"] == 2_000
    times = [row.time for row in found]
    assert times == sorted(set(times))
    assert times[-1] == MICROS
    assert (times[-1] - times[0]) / 86.4e9 == pytest.approx(30, rel=0.05)


def test_nobody_rates_a_movie_twice():
    """So every rating of the past is one of the matrix."""
    pairs = Counter((row.user_id, row.movie_id) for row in rows(history(Crowd(people()), 2_000, NOW)) if row.rating)
    assert max(pairs.values()) == 1


def test_no_past_is_no_line():
    """A drill may begin on an empty site."""
    assert history(Crowd(people()), 0, NOW) == []


def test_a_past_that_never_ends_is_refused():
    """Three users and two movies give six ratings at most."""
    with pytest.raises(BadInput, match="seen it all"):
        history(Crowd(Population(5, ["a", "b"], n_users=3, turnover=0)), 100, NOW)


def test_attackers_push_one_movie_and_look_ordinary():
    """As many profiles as asked for; each rates the movie 5 and twenty others as everybody does, all in an hour."""
    found = rows(spam(people(), "7", 0.05, NOW))
    ratings = [row for row in found if row.kind == "rating"]
    users = Counter(row.user_id for row in ratings)
    assert Counter(row.kind for row in found) == {"account": 10, "rating": 210}
    assert set(users.values()) == {21}
    assert min(int(user) for user in users) == FIRST_ATTACKER
    assert [row.rating for row in ratings if row.movie_id == "7"] == [5.0] * 10
    others = [row.rating for row in ratings if row.movie_id != "7"]
    assert 3 < sum(others) / len(others) < 4
    assert max(row.time for row in found) - min(row.time for row in found) <= 3_600_000_000


@pytest.mark.parametrize(("movie", "share"), [("nothing", 0.1), ("7", 0.0), ("7", 1.1)])
def test_an_attack_on_nothing_is_refused(movie, share):
    """The message names the movie and the share."""
    with pytest.raises(BadInput, match=f"'{movie}' and {share}"):
        spam(people(), movie, share, NOW)

"""The parts of a score add up to it, exactly."""

import numpy as np
import pytest

from functions.train import core as training
from shared.explanation import explanation
from shared.words import words
from tests.ratings import random_matrix

MATRIX = random_matrix(n_users=60, n_movies=40, share=0.5)


@pytest.fixture(scope="module", params=["svd", "svdpp"])
def model(request):
    return training.fit(MATRIX, request.param, training.Parameters(4, 20, 0.02, 0.02), seed=1)


def seen_by(model, user_id):
    columns = MATRIX.rated(MATRIX.user_index[user_id])
    return np.array(sorted(model.movie_index[MATRIX.movies[column]] for column in columns))


def parts(model, profile, place, seen):
    named = {"user_id": "7", "rung": "personal", "model": "svd@v1", "revision": "r"}
    return explanation(model, profile, place, seen, **named)


def test_the_parts_are_the_score_served(model):
    """Rating, liking, chance and score, each the sum or the product of what is said to make it."""
    for user_id in MATRIX.users[:10]:
        profile = model.profile(model.user_index[user_id])
        scores, seen = model.scores(profile), seen_by(model, user_id)
        for place in range(len(model.movies)):
            why = parts(model, profile, place, seen)
            assert why.score == pytest.approx(scores[place], rel=1e-5)
            assert why.score == pytest.approx(why.chance * why.liking, rel=1e-6)
            assert why.rating == pytest.approx(why.mean + why.user_bias + why.movie_bias + why.interaction, abs=1e-5)
            assert why.chance == pytest.approx(max(why.share + why.taste, 0.01 * why.share), rel=1e-5)


def test_what_watched_movies_add_is_the_taste(model):
    """The contributions of all movies seen sum to how far the user's chance is from everybody's."""
    user_id = MATRIX.users[3]
    profile, seen = model.profile(model.user_index[user_id]), seen_by(model, user_id)
    for place in range(len(model.movies)):
        each = model.watching.contributions(place, seen)
        assert each.sum() == pytest.approx(model.watching.axes[place] @ profile.taste, abs=1e-6)
        because = parts(model, profile, place, seen).because
        others = each[(each > 0) & (seen != place)]
        assert [reason.chance for reason in because] == sorted(others.tolist(), reverse=True)[:5]


def test_no_movie_is_a_reason_for_itself(model):
    """Also not for who has seen it, and knows that well."""
    user_id = MATRIX.users[3]
    profile, seen = model.profile(model.user_index[user_id]), seen_by(model, user_id)
    found = [parts(model, profile, place, seen) for place in seen]
    assert all(why.seen for why in found)
    assert not [why.movie for why in found if why.movie in {each.movie for each in why.because}]


def test_words_say_what_the_numbers_are(model):
    """Titles, both chances, the parts of the rating, and who watched what."""
    user_id = MATRIX.users[3]
    profile, seen = model.profile(model.user_index[user_id]), seen_by(model, user_id)
    for place in range(len(model.movies)):
        why = parts(model, profile, place, np.union1d(seen, [place]))
        text = words(why, {movie: movie.upper() for movie in model.movies})
        assert text.startswith(f"M{model.movies[place][1:]}, for user 7 (seen already")
        assert f"rate it {why.rating:.1f}: {why.mean:.1f} on average" in text
        assert "svd@v1" in text
        for each in why.because:
            assert f"  {each.movie.upper()}  (+" in text
        assert ("times as many" in text) == (why.chance > why.share)


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.0, "0 %"),
        (1e-7, "less than 0.01 %"),
        (0.000_123, "0.012 %"),
        (0.034, "3.4 %"),
        (0.456, "46 %"),
        (1.0, "100 %"),
    ],
)
def test_shares_are_said_in_numbers_that_people_read(model, share, said):
    """No 1e-05 %, and no 1e+02 %."""
    why = parts(model, model.profile(0), 0, seen_by(model, MATRIX.users[0]))
    assert f"Of your next watches {said} are expected" in words(why.model_copy(update={"chance": share}), {})

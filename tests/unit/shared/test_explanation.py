"""The parts of a score add up to it, exactly."""

import numpy as np
import pytest

from functions.train import core as training
from shared.explanation import explanation, parts
from shared.words import words
from tests.ratings import random_matrix

MATRIX = random_matrix(n_users=60, n_movies=40, share=0.5)


@pytest.fixture(scope="module", params=["svd", "svdpp"])
def model(request):
    return training.fit(MATRIX, request.param, training.Parameters(4, 20, 0.02, 0.02), seed=1)


def seen_by(model, user_id):
    columns = MATRIX.rated(MATRIX.user_index[user_id])
    return np.array(sorted(model.movie_index[MATRIX.movies[column]] for column in columns))


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
        assert [chance for _, chance in because] == sorted((each[each > 0]).tolist(), reverse=True)[:5]


def test_words_say_what_the_numbers_are(model):
    """Titles, both chances, the parts of the rating, and who watched what."""
    user_id = MATRIX.users[3]
    profile, seen = model.profile(model.user_index[user_id]), seen_by(model, user_id)
    for place in range(len(model.movies)):
        found = parts(model, profile, place, seen)
        why = explanation(
            found, user_id, model.movies[place], model.movies, seen=True, rung="personal", model="svd@v1", revision="r"
        )
        text = words(why, {movie: movie.upper() for movie in model.movies})
        assert text.startswith(f"M{model.movies[place][1:]}, for user {user_id} (seen already")
        assert f"rate it {why.rating:.1f}: {why.mean:.1f} on average" in text
        assert "svd@v1" in text
        for each in why.because:
            assert f"  {each.movie.upper()}  (+" in text
        assert ("times as many" in text) == (why.chance > why.share)

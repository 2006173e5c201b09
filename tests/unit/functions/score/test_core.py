import dataclasses

import numpy as np
import pytest

from functions.score import core
from functions.score.fresh import NOTHING, WATCHED, Act, Acts
from functions.train import core as training
from shared import keys
from shared.artifacts import Artifact, Manifest
from shared.errors import Corrupt, NotFound
from shared.history import HISTORY
from tests.ratings import checkerboard, matrix_of

SPLIT, FILES = matrix_of([*checkerboard(6), ("77", "m1", 5, 9_000)], 1 / 36)
PARAMETERS = training.Parameters(4, 200, 0.02, 0.01)
MODEL = training.fit(SPLIT.train, "svd", PARAMETERS, seed=1)


def manifest(kind, name, made_from=None, lake_version=7):
    return Manifest(kind=kind, id=name, created_at="2026-11-23", made_from=made_from, lake_version=lake_version)


MATRIX = manifest("matrix", SPLIT.matrix_id)


def serving(model=MODEL):
    stored = Artifact(manifest("model", "v1", keys.matrix(SPLIT.matrix_id)), model.to_files())
    return core.load(stored, MATRIX, FILES[HISTORY], "svd", "v1")


SERVING = serving()


def movies(user_id, n=20, exclude=(), acts=NOTHING, of=SERVING):
    return core.top_n(of, core.known(of, user_id, acts), n, exclude)[0]


def test_only_the_movie_not_yet_rated_is_recommended():
    """User 1 rated all movies but m0, in training or after; nothing else may come back."""
    assert movies("1") == ["m0"]


def test_everybody_else_has_seen_everything():
    """A user who rated all movies gets none of them again."""
    assert movies("2") == []


def test_what_is_excluded_does_not_come_back():
    """Also if the model would rank it first; an id it never heard of excludes nothing."""
    assert movies("1", exclude=["m0", "never heard of"]) == []


def test_what_was_watched_just_now_does_not_come_back():
    """An act that came after the matrix hides the movie as one before it does."""
    assert movies("1", acts=Acts({"m0": WATCHED})) == []


def test_scores_and_ratings_are_the_models_own():
    """The numbers beside the movies are what the model says, best first."""
    user = core.known(SERVING, "1", NOTHING)
    _, found = core.top_n(SERVING, user._replace(seen=np.zeros(0, np.int64)), 4, [])
    assert found.scores.tolist() == sorted(found.scores, reverse=True)
    np.testing.assert_allclose(found.scores, MODEL.scores(user.profile)[found.places], rtol=1e-5)
    np.testing.assert_allclose(found.ratings, MODEL.ratings(user.profile)[found.places], rtol=1e-5)


def test_a_user_who_did_nothing_since_is_as_trained():
    """No act, no rating held out: the very factors of training."""
    row = int(np.flatnonzero([not len(SPLIT.validation.rated(r)) for r in range(6)])[0])
    user_id = SPLIT.train.users[row]
    user = core.known(SERVING, user_id, NOTHING)
    assert user.rung == "personal"
    assert (user.profile.factors == MODEL.user_factors[MODEL.user_index[user_id]]).all()


def test_a_user_whose_ratings_are_newer_than_training_is_folded_in():
    """Known from the held-out ratings alone, and not recommended what was rated there."""
    user = core.known(SERVING, "77", NOTHING)
    assert user.rung == "folded_in"
    assert "m1" not in movies("77")
    assert set(movies("77")) == {"m0", "m2", "m3", "m4", "m5"}


@pytest.mark.parametrize("user", ["78", "", "1 "])
def test_of_a_stranger_nothing_is_known(user):
    """Nor of one who only watched what the model never heard of."""
    assert core.known(SERVING, user, NOTHING) is None
    assert core.known(SERVING, user, Acts({"m99": Act(5.0, 1)})) is None


@pytest.mark.parametrize("algorithm", ["svd", "svdpp"])
def test_a_rating_given_now_moves_the_prediction_towards_it(algorithm):
    """A user who rates a movie far from what was expected is expected to rate it closer to that, others as before."""
    model = training.fit(SPLIT.train, algorithm, PARAMETERS, seed=1)
    now = serving(model)
    for user_id in ("1", "77"):
        before = model.ratings(core.known(now, user_id, NOTHING).profile)
        place = model.movie_index["m0"]
        far = 1.0 if before[place] > 3 else 5.0
        user = core.known(now, user_id, Acts({"m0": Act(far, 2**60)}))
        after = model.ratings(user.profile)
        assert user.rung == "folded_in"
        assert abs(after[place] - far) < abs(before[place] - far)


def test_a_rating_that_comes_again_is_no_news():
    """Records may be delivered twice, also those that a later rating replaced: only a newer one changes anything."""
    row = int(np.flatnonzero([not len(SPLIT.validation.rated(r)) for r in range(6)])[0])
    user_id, column = SPLIT.train.users[row], int(SPLIT.train.rated(row)[0])
    movie, past = SPLIT.train.movies[column], SERVING.history.of(SPLIT.train.users[row])
    stored_at = int(past.times[past.movies.tolist().index(SERVING.history.movie_index[movie])])
    for rated_at, rung in ((stored_at - 1, "personal"), (stored_at, "personal"), (stored_at + 1, "folded_in")):
        for rating in (1.0, 5.0):
            assert core.known(SERVING, user_id, Acts({movie: Act(rating, rated_at)})).rung == rung


def test_a_movie_that_the_model_does_not_know_has_no_explanation():
    """Not found, with its name."""
    with pytest.raises(NotFound, match="m99"):
        core.why(SERVING, core.known(SERVING, "1", NOTHING), "1", "m99", model="svd@v1", revision="r")


def test_a_model_is_never_served_with_another_matrix():
    """The manifest says which matrix it was made from; any other is Corrupt."""
    stranger = Artifact(manifest("model", "v1", keys.matrix("another")), MODEL.to_files())
    with pytest.raises(Corrupt, match="made from"):
        core.load(stranger, MATRIX, FILES[HISTORY], "svd", "v1")
    not_a_model = Artifact(manifest("report", "v1", keys.matrix(SPLIT.matrix_id)), MODEL.to_files())
    with pytest.raises(Corrupt):
        core.load(not_a_model, MATRIX, FILES[HISTORY], "svd", "v1")


@pytest.mark.parametrize(
    ("facts", "asked"),
    [({}, ("svd", "v2")), ({"parameters": {"algorithm": "svdpp"}}, ("svd", "v1")), ({"id": "v0"}, ("svd", "v1"))],
)
def test_a_model_is_served_under_no_name_but_its_own(facts, asked):
    """A copy of an older model under a new name, or of the other algorithm's, is Corrupt."""
    own = manifest("model", "v1", keys.matrix(SPLIT.matrix_id)).model_copy(update=facts)
    with pytest.raises(Corrupt, match=f"stored as svd@{asked[1]} is model"):
        core.load(Artifact(own, MODEL.to_files()), MATRIX, FILES[HISTORY], *asked)


@pytest.mark.parametrize(
    ("facts", "moment"),
    [
        ({"lake_read_at": "2026-11-23T12:00:00+00:00"}, 1_795_435_200.0),
        ({"created_at": "2026-11-23T12:00:01+00:00"}, 1_795_435_201.0),
        ({"lake_read_at": "yesterday"}, None),
        ({"created_at": "yesterday"}, None),
    ],
)
def test_a_model_says_when_the_lake_was_read_for_it(facts, moment):
    """By the matrix's own word, else the moment it was stored at; what is no time is Corrupt."""
    stored = Artifact(manifest("model", "v1", keys.matrix(SPLIT.matrix_id)), MODEL.to_files())
    matrix = MATRIX.model_copy(update=facts)
    if moment is None:
        with pytest.raises(Corrupt, match="'yesterday', which is no time"):
            core.load(stored, matrix, FILES[HISTORY], "svd", "v1")
    else:
        assert core.load(stored, matrix, FILES[HISTORY], "svd", "v1").complete_at == moment


def test_a_model_with_users_of_another_matrix_is_refused():
    """Even if the manifests agree, the users must be the matrix's."""
    _, other = matrix_of(checkerboard(2), 0.0)
    stored = Artifact(manifest("model", "v1", keys.matrix(SPLIT.matrix_id)), MODEL.to_files())
    with pytest.raises(Corrupt, match="users"):
        core.load(stored, MATRIX, other[HISTORY], "svd", "v1")


def test_popular_movies_follow_what_is_watched_now():
    """A movie that nobody knew takes the lead once enough users watch it."""
    before = core.popular(SERVING.history, [])
    assert set(before) <= set(SPLIT.train.movies)
    after = core.popular(SERVING.history, [(f"new{each}", "premiere") for each in range(50)])
    assert after[0] == "premiere"
    assert set(before) <= set(after)


def test_a_serving_never_changes():
    """It is frozen: a request that holds it answers from one model."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        SERVING.model_version = "v2"

import numpy as np
import pytest

from functions.score import core
from functions.train import core as training
from shared import keys
from shared.artifacts import Artifact, Manifest
from shared.errors import Corrupt, NotFound
from tests.ratings import checkerboard, split_of

SPLIT = split_of([*checkerboard(6), ("77", "m1", 5, 9_000)], 1 / 36)
MODEL = training.fit(SPLIT.train, "svd", training.Parameters(4, 200, 0.02, 0.01), seed=1)


def artifact(kind, name, files, made_from=None):
    return Artifact(Manifest(kind=kind, id=name, created_at="", made_from=made_from), files)


MATRIX_ARTIFACT = artifact("matrix", SPLIT.matrix_id, SPLIT.to_files())
MODEL_ARTIFACT = artifact("model", "v1", MODEL.to_files(), keys.matrix(SPLIT.matrix_id))
SERVING = core.load(MODEL_ARTIFACT, MATRIX_ARTIFACT)


def test_only_the_movie_not_yet_rated_is_recommended():
    """User 1 rated all movies but m0, in training or after; nothing else may come back."""
    assert core.top_n(SERVING, "1", 20, []).movies == ["m0"]


def test_everybody_else_has_seen_everything():
    """A user who rated all movies gets none of them again."""
    assert core.top_n(SERVING, "2", 20, []).movies == []


def test_what_is_excluded_does_not_come_back():
    """Also if the model would rank it first; an id it never heard of excludes nothing."""
    assert core.top_n(SERVING, "1", 20, ["m0", "never heard of"]).movies == []


def test_scores_are_the_ratings_the_model_expects():
    """The scores beside the movies are its own, best first."""
    nothing = np.zeros(0, dtype=np.int64)
    unseen = core.Serving("v1", MODEL, [nothing for _ in MODEL.users])
    found = core.top_n(unseen, "1", 4, [])
    assert found.scores == sorted(found.scores, reverse=True)
    assert found.scores[0] == pytest.approx(max(MODEL.scores(MODEL.user_index["1"])), abs=1e-4)
    assert len(found.movies) == 4


@pytest.mark.parametrize("user", ["77", "78", "", "1 "])
def test_whom_the_model_does_not_know_is_not_found(user):
    """A user whose only ratings are newer than training is as unknown as one who never was."""
    with pytest.raises(NotFound):
        core.top_n(SERVING, user, 20, [])


@pytest.mark.parametrize("n", [0, -1, 21])
def test_n_is_from_1_to_20(n):
    """Any other number is refused."""
    with pytest.raises(ValueError, match="from 1 to 20"):
        core.top_n(SERVING, "1", n, [])


def test_a_model_is_never_served_with_another_matrix():
    """The manifest says which matrix it was made from; any other is Corrupt."""
    stranger = artifact("model", "v1", MODEL.to_files(), keys.matrix("another"))
    with pytest.raises(Corrupt, match="made from"):
        core.load(stranger, MATRIX_ARTIFACT)
    not_a_model = artifact("report", "v1", MODEL.to_files(), keys.matrix(SPLIT.matrix_id))
    with pytest.raises(Corrupt):
        core.load(not_a_model, MATRIX_ARTIFACT)


def test_a_model_with_users_of_another_matrix_is_refused():
    """Even if the manifests agree, the users must be the matrix's."""
    other = split_of(checkerboard(2), 0.0)
    with pytest.raises(Corrupt, match="users"):
        core.load(
            artifact("model", "v1", MODEL.to_files(), keys.matrix(other.matrix_id)),
            artifact("matrix", other.matrix_id, other.to_files()),
        )

import dataclasses
import hashlib
import subprocess
import sys

import numpy as np
import pytest

from functions.train import core
from shared import accuracy
from shared.errors import BadInput
from shared.events import ALGORITHMS
from shared.matrix import RatingMatrix
from shared.model import FactorModel
from tests.ratings import checkerboard, random_matrix, split_of

TRAIN = split_of(checkerboard(6), 0.0).train
QUICK = core.Parameters(n_factors=4, n_epochs=200, lr=0.02, reg=0.01)
ORDER = core.Order("svd", QUICK, seed=0, n_threads=1)
WHOLE = random_matrix(n_users=300, n_movies=200, share=0.15)


def parted(matrix, seed, share=0.8):
    """Return a matrix of a random share of the ratings, and the rest as (users, movies, ratings)."""
    cells = matrix.ratings.tocoo()
    kept = np.random.default_rng(seed).random(cells.nnz) < share
    train = matrix.ratings.copy()
    train.data[~kept] = 0
    train.eliminate_zeros()
    rows, columns = (each[~kept] for each in cells.coords)
    return RatingMatrix(train, matrix.users, matrix.movies), (rows, columns, cells.data[~kept])


def error(model, matrix, rest):
    rows, columns, truth = rest
    return accuracy.rmse(truth, model.predict([matrix.users[r] for r in rows], [matrix.movies[c] for c in columns]))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_withheld_cell_ranks_first(algorithm):
    """Of the movies that user 1 has not rated there is one, and its colour says that it is a 5."""
    model = core.fit(TRAIN, algorithm, QUICK, seed=1)
    rated = {TRAIN.movies[column] for column in TRAIN.rated(TRAIN.user_index["1"])}
    assert set(TRAIN.movies) - rated == {"m0"}
    of_other_colour = model.predict(["1"] * 3, ["m1", "m3", "m5"])
    assert model.predict(["1"], ["m0"])[0] > of_other_colour.max() + 1


@pytest.mark.parametrize("engine", core.ENGINES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_fit_repeats_itself(algorithm, engine):
    """The same data, parameters and seed give the same bytes; another seed gives others."""
    first, again, other = (core.fit(TRAIN, algorithm, QUICK, seed, engine=engine).to_files() for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_threads_race_for_nothing(algorithm):
    """Two fresh processes with three threads each end in the same bytes."""
    script = (
        "import hashlib; from tests.unit.functions.train.test_core import *;"
        f"files = core.fit(WHOLE, {algorithm!r}, core.DEFAULTS[{algorithm!r}], 5, n_threads=3).to_files();"
        "print(hashlib.sha256(b''.join(files.values())).hexdigest())"
    )
    runs = [subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True) for _ in "12"]
    assert runs[0].stdout == runs[1].stdout
    assert len(runs[0].stdout.strip()) == hashlib.sha256().digest_size * 2


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("whole", [WHOLE, random_matrix(400, 25, share=0.55)], ids=["sparse", "dense"])
def test_it_is_as_accurate_as_scikit_surprise(algorithm, whole):
    """With its default parameters the error is at most 0.001 above the reference's, as far as six splits can tell."""
    above = []
    for seed in range(6):
        train, rest = parted(whole, seed)
        ours, theirs = (
            error(core.fit(train, algorithm, core.DEFAULTS[algorithm], seed, engine=engine, n_threads=2), whole, rest)
            for engine in ("marquee", "surprise")
        )
        above.append(ours - theirs)
    standard_error = np.std(above, ddof=1) / len(above) ** 0.5
    assert standard_error < 0.006
    assert np.mean(above) - 2 * standard_error <= 0.001


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_user_nobody_knows_is_the_average_one(algorithm):
    """What is predicted for a stranger is the mean over all users, each weighing as many ratings."""
    model = core.fit(WHOLE, algorithm, core.DEFAULTS[algorithm], 0)
    weights = np.diff(WHOLE.ratings.indptr) / WHOLE.n_ratings
    movies = model.movies[:20]
    each = np.array(
        [
            model.mean + model.user_bias[u] + model.item_bias[:20] + model.item_factors[:20] @ model.user_factors[u]
            for u in range(len(model.users))
        ]
    )
    np.testing.assert_allclose(model.predict(["stranger"] * 20, movies), weights @ each, atol=1e-4)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_warm_start_needs_a_third_of_the_passes(algorithm):
    """After a tenth more ratings it is as good as a cold start with three times the passes."""
    parameters = core.Parameters(n_factors=8, n_epochs=30, lr=0.02, reg=0.05, lr_final=0.1, init_std=0.03)
    train, rest = parted(WHOLE, 1)
    before, _ = parted(train, 2, share=0.9)
    base = core.fit(before, algorithm, parameters, 0)
    cold = core.fit(train, algorithm, parameters, 0)
    warm = core.fit(train, algorithm, parameters.warmed(), 0, warm=base)
    assert parameters.warmed().n_epochs == 10
    assert error(warm, WHOLE, rest) <= error(cold, WHOLE, rest) + 0.003
    assert set(warm.users) == set(cold.users)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_warm_start_predicts_as_the_model_it_starts_from(algorithm):
    """With a step of almost nothing, all known users and movies are predicted as before."""
    still = core.Parameters(n_factors=4, n_epochs=1, lr=1e-9, reg=0)
    model = core.fit(TRAIN, algorithm, QUICK, 1)
    warm = core.fit(TRAIN, algorithm, still, 2, warm=model)
    pairs = (["1"] * 6, TRAIN.movies)
    np.testing.assert_allclose(warm.predict(*pairs), model.predict(*pairs), atol=1e-5)


def test_a_model_of_another_kind_is_no_start():
    """The error says what was wanted and what was given."""
    svd = core.fit(TRAIN, "svd", QUICK, 1)
    with pytest.raises(BadInput, match="svdpp with 4 factors from SVD with 4"):
        core.fit(TRAIN, "svdpp", QUICK, 1, warm=svd)
    with pytest.raises(BadInput, match="with 8 factors from SVD with 4"):
        core.fit(TRAIN, "svd", dataclasses.replace(QUICK, n_factors=8), 1, warm=svd)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_patience_stops_and_returns_the_best(algorithm):
    """Overfitting is noticed on ratings held out of training: fewer passes, and a better model."""
    many = core.Parameters(n_factors=16, n_epochs=200, lr=0.03, reg=0.0)
    train, rest = parted(WHOLE, 1)
    told = []
    patient = core.fit(train, algorithm, dataclasses.replace(many, patience=3), 0, lambda *each: told.append(each))
    assert len(told) < 150
    assert [number for number, _ in told] == list(range(1, len(told) + 1))
    held_out = [rmse for _, rmse in told]
    assert np.argmin(held_out) == len(told) - 4
    assert error(patient, WHOLE, rest) < error(core.fit(train, algorithm, many, 0), WHOLE, rest) - 0.05


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_held_out_was_watched_all_the_same(algorithm):
    """With steps of nothing all that training can differ in is SVD++'s implicit sum, which is of all ratings."""
    still = core.Parameters(n_factors=8, n_epochs=1, lr=1e-12, reg=0.0)
    patient = core.fit(WHOLE, algorithm, dataclasses.replace(still, patience=1), 0)
    np.testing.assert_allclose(patient.user_factors, core.fit(WHOLE, algorithm, still, 0).user_factors, atol=1e-5)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_patience_loses_nobody(algorithm):
    """Users and movies of a single rating are in the model, whatever is held out."""
    sparse = split_of([(str(n), f"m{n % 7}", 3 + n % 2, n) for n in range(1, 60)], 0.0).train
    model = core.fit(sparse, algorithm, dataclasses.replace(QUICK, n_epochs=5, patience=2), 0)
    assert (model.users, model.movies) == (sparse.users, sparse.movies)
    assert FactorModel.from_files(model.to_files()).users == sparse.users


def test_every_pass_is_told():
    """Progress can be drawn; nothing is held out unless asked."""
    told = []
    core.fit(TRAIN, "svd", dataclasses.replace(QUICK, n_epochs=3), 1, lambda *each: told.append(each))
    assert told == [(1, None), (2, None), (3, None)]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_model_knows_only_whom_it_was_trained_on(algorithm):
    """Users and movies of the vocabulary without a training rating are not in the model."""
    split = split_of([*checkerboard(4), ("99", "new", 5, 9_999)], 0.01)
    assert "99" in split.train.users
    model = core.fit(split.train, algorithm, QUICK, seed=1)
    assert "99" not in model.user_index
    assert "new" not in model.movie_index


def test_svdpp_keeps_its_implicit_factors():
    """SVD++ can fold later watches in, so y_j stays; SVD has none."""
    assert core.fit(TRAIN, "svdpp", QUICK, 1).implicit_factors is not None
    assert core.fit(TRAIN, "svd", QUICK, 1).implicit_factors is None


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_trained_taste_is_the_one_folded_in(algorithm):
    """A user who brings the same ratings after training is taken to watch the same movies."""
    model = core.fit(TRAIN, algorithm, QUICK, seed=1)
    for user, row in model.user_index.items():
        columns = TRAIN.rated(TRAIN.user_index[user])
        assert model.fold_in([TRAIN.movies[column] for column in columns], {}).taste == pytest.approx(
            model.user_tastes[row], abs=1e-5
        )


def test_the_spread_is_the_standard_deviation():
    """Of all ratings, about their mean."""
    assert core.fit(TRAIN, "svd", QUICK, 1).spread == pytest.approx(np.std(TRAIN.triples()[2]))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_average_implicit_sum_is_that_of_all_users(algorithm):
    """z̄ = Σ_u n_u |N(u)|^-½ Σ_j y_j / n, by the long way; nothing for SVD."""
    model = core.fit(WHOLE, algorithm, core.DEFAULTS[algorithm], 0)
    expected = np.zeros(model.item_factors.shape[1])
    for row in range(len(WHOLE.users)):
        rated = WHOLE.rated(row)
        if model.implicit_factors is not None and len(rated):
            expected += len(rated) ** 0.5 * model.implicit_factors[rated].sum(0) / WHOLE.n_ratings
    np.testing.assert_allclose(model.implicit_mean, expected, atol=1e-5)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_model_of_equal_ratings_can_be_stored(algorithm):
    """If everybody gives everything a 3, the model is read back and predicts 3."""
    train = split_of([(u, m, 3, n) for n, (u, m) in enumerate(zip("1122", "abab", strict=True))], 0.0).train
    model = FactorModel.from_files(core.fit(train, algorithm, QUICK, 0).to_files())
    assert model.predict(["1", "9"], ["a", "z"]) == pytest.approx([3, 3])


def test_nothing_cannot_be_fitted():
    """A matrix without ratings is an error, not a model."""
    empty = dataclasses.replace(TRAIN, ratings=TRAIN.ratings * 0)
    empty.ratings.eliminate_zeros()
    with pytest.raises(ValueError, match="nothing to fit"):
        core.fit(empty, "svd", QUICK, 1)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("ratings", [[("1", "a", 3)], [("1", m, 4) for m in "abc"], [(u, "a", 2) for u in "123"]])
def test_one_user_or_one_movie_is_enough(algorithm, ratings):
    """More threads than users, a single rating: a finite model that predicts within the scale."""
    train = split_of([(*each, 1_000 + n) for n, each in enumerate(ratings)], 0.0).train
    model = core.fit(train, algorithm, core.DEFAULTS[algorithm], 0, n_threads=4)
    assert np.isfinite(model.predict(["1", "9"], ["a", "zz"])).all()


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_a_rating_that_is_no_number_is_named(odd):
    """Whose it is, of what, and what it says."""
    ratings = TRAIN.ratings.copy()
    ratings.data[7] = odd
    row, column = (each[7] for each in TRAIN.ratings.nonzero())
    with pytest.raises(BadInput, match=f"user '{TRAIN.users[row]}' rated movie '{TRAIN.movies[column]}' {odd}"):
        core.fit(dataclasses.replace(TRAIN, ratings=ratings), "svd", QUICK, 1)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_step_too_large_is_named(algorithm, n_threads):
    """Descent that leaves the finite numbers is an error with the step in it, never a model of NaN."""
    with pytest.raises(core.Diverged, match=r"pass \d+: lr 50 or reg 0.01 is too large"):
        core.fit(TRAIN, algorithm, dataclasses.replace(QUICK, lr=50.0), 1, n_threads=n_threads)


def test_the_reference_diverges_with_the_same_error():
    """Also scikit-surprise gives no model of NaN."""
    with np.errstate(all="ignore"), pytest.raises(core.Diverged, match=r"lr 50 or reg 0\.01 is too large"):
        core.fit(TRAIN, "svd", dataclasses.replace(QUICK, lr=50.0), 1, engine="surprise")


def test_patience_without_anything_to_watch_makes_all_passes():
    """Every user has one rating, which stays in training."""
    told = []
    lonely = split_of([(str(n), f"m{n}", 3, n) for n in range(1, 9)], 0.0).train
    quick = dataclasses.replace(QUICK, n_epochs=6, patience=2)
    core.fit(lonely, "svd", quick, 0, lambda *each: told.append(each))
    assert told == [(number, None) for number in range(1, 7)]


def test_the_reference_says_what_it_cannot():
    """scikit-surprise has no schedule: asking for one is an error, not another result."""
    with pytest.raises(BadInput, match="lr_final"):
        core.fit(TRAIN, "svd", dataclasses.replace(QUICK, lr_final=0.5), 1, engine="surprise")


def test_wrong_parameters_are_all_named():
    """What, why, and the value."""
    with pytest.raises(BadInput, match=r"svd\.n_epochs: .*not 0; svd\.lr: .*greater than 0, not -1"):
        core.parameters({"svd": {"n_factors": 4, "lr": -1, "reg": 0, "n_epochs": 0}})
    with pytest.raises(BadInput, match="rate"):
        core.parameters({"svd": {**QUICK.as_dict(), "rate": 1}})


def test_the_version_names_everything_that_makes_the_model():
    """Another matrix, algorithm, parameter, seed, number of threads, engine, library or start is another version."""
    base = ("m1", ORDER, {"numpy": "2"}, None)
    others = [
        ("m2", *base[1:]),
        ("m1", dataclasses.replace(ORDER, algorithm="svdpp"), *base[2:]),
        ("m1", dataclasses.replace(ORDER, parameters=dataclasses.replace(QUICK, reg=0.1)), *base[2:]),
        ("m1", dataclasses.replace(ORDER, seed=1), *base[2:]),
        ("m1", dataclasses.replace(ORDER, n_threads=2), *base[2:]),
        ("m1", dataclasses.replace(ORDER, engine="surprise"), *base[2:]),
        (*base[:2], {"numpy": "3"}, None),
        (*base[:3], "before"),
    ]
    versions = [core.model_version(*each) for each in (base, *others)]
    assert len(set(versions)) == len(versions)
    assert core.model_version(*base) == versions[0]

"""Why a movie stands where it does for a user: the parts of its score, exactly."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from shared.model import FactorModel, Places, Profile
from shared.recommendation import Because, Explanation

N_BECAUSE: Final = 5


class Parts(NamedTuple):
    """The parts of a score, see `shared.recommendation.Explanation`; `because` as (place, chance), greatest first."""

    score: float
    chance: float
    share: float
    taste: float
    liking: float
    rating: float
    mean: float
    user_bias: float
    movie_bias: float
    interaction: float
    because: list[tuple[int, float]]


def parts(model: FactorModel, user: Profile, place: int, seen: Places) -> Parts:
    """Return the parts of the score of the movie at `place` for a user who has seen the movies at `seen`.

    The taste is a sum over the movies seen, z_k = Σ_j (V_jk - μ·V_k) / (n + κ_k), so each has an exact part V_i · that
    in the chance of movie i.
    """
    watching = model.watching
    rating = model.ratings(user, slice(place, place + 1))
    chance, liking = watching.chances(user.taste)[place], model.liking(rating)[0]
    each = watching.contributions(place, seen)
    order = np.argsort(-each, kind="stable")[:N_BECAUSE]
    return Parts(
        score=float(chance * liking),
        chance=float(chance),
        share=float(watching.share[place]),
        taste=float(watching.axes[place] @ user.taste),
        liking=float(liking),
        rating=float(rating[0]),
        mean=model.mean,
        user_bias=user.bias,
        movie_bias=float(model.item_bias[place]),
        interaction=float(model.item_factors[place] @ user.factors),
        because=[(int(seen[j]), float(each[j])) for j in order if each[j] > 0],
    )


def explanation(
    found: Parts, user_id: str, movie: str, movies: Sequence[str], seen: bool, rung: str, model: str, revision: str
) -> Explanation:
    """Return parts as the answer that names its movies, and the model that made it."""
    because = [Because(movie=movies[place], chance=chance) for place, chance in found.because]
    return Explanation.model_validate(
        found._asdict()
        | {
            "user_id": user_id,
            "movie": movie,
            "because": because,
            "seen": seen,
            "rung": rung,
            "model": model,
            "revision": revision,
        }
    )

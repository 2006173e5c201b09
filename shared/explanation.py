"""Why a movie stands where it does for a user: the parts of its score, exactly."""

from typing import Final

import numpy as np

from shared.model import FactorModel, Places, Profile
from shared.recommendation import Because, Explanation, Rung

N_BECAUSE: Final = 5


def explanation(
    fitted: FactorModel,
    user: Profile,
    place: int,
    seen: Places,
    *,
    user_id: str,
    rung: Rung,
    model: str,
    revision: str,
) -> Explanation:
    """Return the parts of the score of the movie at `place` for a user who has seen the movies at `seen`.

    The taste is a sum over the movies seen, z_k = Σ_j (V_jk - μ·V_k) / (n + κ_k), so each has an exact part V_i · that
    in the chance of movie i; the greatest of other movies are the reasons.
    """
    watching = fitted.watching
    rating = fitted.ratings(user, slice(place, place + 1))
    chance, liking = watching.chances(user.taste)[place], fitted.liking(rating)[0]
    each = watching.contributions(place, seen)
    reasons = np.flatnonzero((each > 0) & (seen != place))
    reasons = reasons[np.argsort(-each[reasons], kind="stable")][:N_BECAUSE]
    return Explanation(
        user_id=user_id,
        movie=fitted.movies[place],
        score=float(chance * liking),
        chance=float(chance),
        share=float(watching.share[place]),
        taste=float(watching.axes[place] @ user.taste),
        liking=float(liking),
        rating=float(rating[0]),
        mean=fitted.mean,
        user_bias=user.bias,
        movie_bias=float(fitted.item_bias[place]),
        interaction=float(fitted.item_factors[place] @ user.factors),
        because=[Because(movie=fitted.movies[seen[j]], chance=float(each[j])) for j in reasons],
        seen=bool((seen == place).any()),
        rung=rung,
        model=model,
        revision=revision,
    )

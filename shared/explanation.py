"""Why a movie stands where it does for a user: the parts of its score, exactly, and in words."""

from collections.abc import Mapping, Sequence
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


def words(why: Explanation, titles: Mapping[str, str]) -> str:
    """Return an explanation as some lines that a person understands."""
    title = titles.get(why.movie, why.movie)
    lines = [f"{title}, for user {why.user_id}" + (" (seen already, so it is not recommended)" if why.seen else "")]
    lines.append(f"{_percent(why.chance)} of your next watches are expected to be of it, {_beside_others(why)}.")
    if why.because:
        lines.append("Because you watched:")
        lines += [f"  {titles.get(each.movie, each.movie)}  (+{_percent(each.chance)})" for each in why.because]
    lines.append(
        f"You would rate it {why.rating:.1f}: {why.mean:.1f} on average, {why.user_bias:+.1f} as you rate, "
        f"{why.movie_bias:+.1f} as others rate it, {why.interaction:+.1f} as it suits you; "
        f"so the chance that you like it is {why.liking:.0%}."
    )
    lines.append(f"Its score is {_percent(why.chance)} times {why.liking:.0%}, {_percent(why.score)}, by {why.model}.")
    return "\n".join(lines) + "\n"


def _percent(share: float) -> str:
    return f"{share * 100:.2g} %"


def _beside_others(why: Explanation) -> str:
    if why.share > 0 and why.chance > why.share:
        return f"{why.chance / why.share:.1f} times as many as of everybody's"
    if why.chance < why.share:
        return f"fewer than of everybody's, {_percent(why.share)}"
    return "as of everybody's"

"""An explanation in words, without anything that a model needs."""

from collections.abc import Mapping

from shared.recommendation import Explanation


def words(why: Explanation, titles: Mapping[str, str]) -> str:
    """Return an explanation as some lines that a person understands."""
    title = titles.get(why.movie, why.movie)
    lines = [f"{title}, for user {why.user_id}" + (" (seen already, so it is not recommended)" if why.seen else "")]
    lines.append(f"Of your next watches {_percent(why.chance)} are expected to be of it, {_beside_others(why)}.")
    if why.because:
        lines.append("Because you watched:")
        lines += [f"  {titles.get(each.movie, each.movie)}  ({_percent(each.chance, '+')})" for each in why.because]
    lines.append(
        f"You would rate it {why.rating:.1f}: {why.mean:.1f} on average, {why.user_bias:+.1f} as you rate, "
        f"{why.movie_bias:+.1f} as others rate it, {why.interaction:+.1f} as it suits you; "
        f"so the chance that you like it is {why.liking:.0%}."
    )
    lines.append(f"Its score is {_percent(why.chance)} times {why.liking:.0%}, {_percent(why.score)}, by {why.model}.")
    return "\n".join(lines) + "\n"


def _percent(share: float, sign: str = "") -> str:
    """Return a share to two digits, in numbers that people read."""
    percent = share * 100
    if 0 < percent < 0.01:
        return "less than 0.01 %"
    return f"{sign}{percent:.2g} %" if percent < 10 else f"{sign}{percent:.0f} %"


def _beside_others(why: Explanation) -> str:
    if why.share > 0 and why.chance > why.share:
        return f"{why.chance / why.share:.1f} times as many as of everybody's"
    if why.chance < why.share:
        return f"fewer than of everybody's, {_percent(why.share)}"
    return "as of everybody's"

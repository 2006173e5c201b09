"""What a simulation came to, for people and for machines."""

from collections import Counter
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from cli.simulator.driver import Played


def facts(played: Played) -> dict[str, Any]:
    """Return the numbers as JSON has them; shares are of the lists served, `cpu` of one core."""
    asked = played.asked
    return {
        "visits": played.visits,
        "visits_per_second": round(played.visits / played.seconds, 1) if played.seconds else 0.0,
        "cpu": round(played.cpu_seconds / played.seconds, 3) if played.seconds else 0.0,
        "lines": played.lines,
        "watched": played.watched,
        "rated": played.rated,
        "lists": played.lists,
        "hits": played.hits,
        "hit_share": _share(played.hits, played.lists),
        "statuses": {str(status): n for status, n in sorted(asked.statuses.items())},
        "lost": asked.statuses.total() - asked.statuses[200],
        "rungs": dict(asked.rungs.most_common()),
        "arms": _served(asked.arms, played.hits_of_arms),
        "models": _served(asked.models, played.hits_of_models),
        "milliseconds": {f"p{p}": round(float(np.percentile(asked.milliseconds, p)), 1) for p in (50, 99)}
        if asked.milliseconds
        else {},
    }


def show(console: Console, played: Played, next_moment: int) -> None:
    """Print the numbers, how to go on, and in the end whether anybody got no list."""
    found = facts(played)
    table = Table("lists", "served", "watched from", "share", title="What users made of their lists")
    for kind in ("arms", "models"):
        for name, of in found[kind].items():
            table.add_row(f"{kind[:-1]} {name}", f"{of['lists']:,}", f"{of['hits']:,}", f"{of['hit_share']:.1%}")
        table.add_section()
    table.add_row("all", f"{found['lists']:,}", f"{found['hits']:,}", f"{found['hit_share']:.1%}")
    console.print(table)
    statuses = ", ".join(f"{n:,} of status {status}" for status, n in found["statuses"].items())
    rungs = ", ".join(f"{n:,} {rung}" for rung, n in found["rungs"].items())
    took = ", ".join(f"{name} {ms} ms" for name, ms in found["milliseconds"].items())
    console.print(f"answers: {'; '.join(filter(None, (statuses, rungs, took)))}", highlight=False)
    console.print(
        f"{found['visits']:,} visits, {found['visits_per_second']:,} a second, with {found['cpu']:.0%} of one core; "
        f"{found['lines']:,} lines, {found['watched']:,} movies watched, {found['rated']:,} rated. "
        f"The same people go on with --moment {next_moment}.",
        highlight=False,
    )
    if found["lost"]:
        console.print(
            f"[bold red]{found['lost']:,} of {found['visits']:,} answers were lost[/]: who asked got no list. "
            "Is the site up, and its machine not too busy?",
            highlight=False,
        )


def _served(lists: Counter[str], hits: Counter[str]) -> dict[str, dict[str, float]]:
    return {
        name: {"lists": n, "hits": hits[name], "hit_share": _share(hits[name], n)} for name, n in sorted(lists.items())
    }


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0

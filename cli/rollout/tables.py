"""What is said of services, as tables that 80 columns hold."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Final

from rich.table import Table
from rich.text import Text

from cli.console import clock
from cli.rollout import ahead
from cli.rollout.look import Look
from shared.rollout import Change, Release, State

_LAST_CHANGES: Final = 8
_ID: Final = 8


def short(model_version: str) -> str:
    """Return as much of a version as tells models apart; `--model` takes it."""
    return model_version[:_ID]


def standing(looks: Mapping[str, Look]) -> Table:
    """Return where each service stands."""
    table = Table("", *looks, title="Models (times are UTC)")
    rows = {
        "state": [_named(look.state) for look in looks.values()],
        "stable": [_stable(look) for look in looks.values()],
        "canary": [_canary(look) for look in looks.values()],
        "before": [_version(look.state.previous) for look in looks.values()],
        "waiting": [_version(look.state.waiting) for look in looks.values()],
    }
    for name, cells in rows.items():
        table.add_row(name, *map(Text, cells))
    return table


def coming(looks: Mapping[str, Look]) -> Table:
    """Return what comes next for each service, and what was decided last. Raises: Corrupt."""
    table = Table(title="What comes next", show_header=False, show_lines=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for service, look in looks.items():
        table.add_row(_algorithm(service), Text("\n".join([*ahead.lines(look), *_told(look)])))
    return table


def last_changes(looks: Mapping[str, Look], now: int) -> Table:
    """Return the last changes of all services; of models that waited one after another the last."""
    every = [(each, look.state.service) for look in looks.values() for each in _told_once(look.state)]
    every.sort(key=lambda found: (found[0].at, found[0].number))
    return changes(every[-_LAST_CHANGES:], now, "Last changes (UTC)")


def changes(found: Iterable[tuple[Change, str]], now: int, title: str) -> Table:
    """Return changes, each of a service."""
    table = Table(title=title)
    for name in ("when", "of", "what", "model", "users"):
        table.add_column(name, no_wrap=True)
    for name in ("who", "why"):
        table.add_column(name, overflow="fold")
    for each, service in found:
        when, what = clock(each.at, now), each.what.replace("_", " ")
        cells = [when, _algorithm(service), what, short(each.model_version), f"{each.percent} %", each.who, each.why]
        table.add_row(*map(Text, cells))
    return table


def _algorithm(service: str) -> str:
    return service.removeprefix("score-")


def _version(release: Release | None) -> str:
    return short(release.model_version) if release else ""


def _named(state: State) -> str:
    """Return a state's name, and who paused it and why."""
    paused = next((each for each in reversed(state.log) if each.what == "paused"), None)
    who = f" by {paused.who}: {paused.why}" if paused else ""
    return f"{state.name}, paused{who}" if state.is_paused else state.name


def _stable(look: Look) -> str:
    state = look.state
    if state.stable is None:
        return "none yet"
    since = "" if state.stable_since is None else f" since {clock(state.stable_since, look.now)}"
    return f"{_version(state.stable)}, {100 - (state.canary.percent if state.canary else 0)} %{since}"


def _canary(look: Look) -> str:
    canary = look.state.canary
    if canary is None:
        return ""
    silent = "\nit does not answer" if canary.unready_since is not None else ""
    return f"{_version(canary.release)}, {canary.percent} % since {clock(canary.periods[-1].since, look.now)}{silent}"


def _told(look: Look) -> list[str]:
    decision = look.decision
    if decision is None:
        return [f"last decision, not followed: {look.refused}"] if look.refused else []
    verdict = decision.verdict.replace("_", " ")
    about = f"{verdict} {short(decision.model_version)}, {clock(decision.decided_at, look.now)}"
    return [f"last decision: {about}: {decision.reason}"]


def _told_once(state: State) -> list[Change]:
    """Return the changes, of models that waited one after another the last: the others never had their turn."""
    runs = groupby(state.log, key=lambda each: each.what)
    return [each for what, run in runs for each in (list(run)[-1:] if what == "waiting" else run)]

"""`marquee rollout`: which models are live and why, and what a person may order."""

import getpass
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from itertools import groupby
from pathlib import PurePosixPath
from typing import Annotated, Any, Final

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli import weights
from cli.console import moment, out
from cli.where import environment
from functions.rollout import core
from functions.rollout.core import Command
from shared import bootstrap, keys, rollout
from shared.decision import Decision
from shared.errors import BadInput, Corrupt, NotFound, NotReady
from shared.events import ALGORITHMS
from shared.experiment import Change
from shared.ports import ObjectStore
from shared.rollout import State

_SERVICES: Final = [keys.score_service(algorithm) for algorithm in ALGORITHMS]
_LAST_CHANGES: Final = 8

Service = Annotated[str, typer.Argument(help=f"One of {', '.join(_SERVICES)}.", metavar="SERVICE")]
Why = Annotated[str, typer.Option("--why", help="The reason; it is kept with the change.")]
Who = Annotated[str, typer.Option("--who", help="Who orders it; the user of this shell if not given.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a machine to read.")]

commands = typer.Typer(no_args_is_help=True, help="Say which models are live and why, or order it otherwise.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(commands, name="rollout")


@commands.command()
def status(
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 2.0,
) -> None:
    """Say of each service which model is live, which is on trial, what was decided about it last, and by whom.

    And how the users are shared between the algorithms, and which of them they prefer.

    Example: marquee rollout status --watch --interval 5
    """
    if as_json and watch:
        raise BadInput("--watch draws tables for people: ask with --json again and again instead")
    deps = bootstrap.build("rollout-status", environment(), writes=False)
    if watch:
        _watch(deps, interval)
    elif as_json:
        states, decisions, now = _look(deps)
        facts = {name: _facts(state, decisions[name], now) for name, state in states.items()}
        out.print_json(data={**facts, "experiment": weights.read(deps).facts()})
    else:
        out.print(_tables(deps), highlight=False)


@commands.command()
def promote(service: Service, why: Why, who: Who = "") -> None:
    """Give the canary all users, without waiting for a verdict.

    Example: marquee rollout promote score-svd --why "the site asked for it"
    """
    _order(service, "promote", who, why)


@commands.command()
def rollback(service: Service, why: Why, who: Who = "") -> None:
    """Take the canary's users away; without a canary, go back to the model before the stable one.

    The model that loses its users is never tried again by itself.

    Example: marquee rollout rollback score-svd --why "complaints about repeated movies"
    """
    _order(service, "rollback", who, why)


@commands.command()
def release(
    service: Service,
    image: Annotated[str, typer.Option("--image", help="The image with the new code, by digest.")],
    why: Why,
    who: Who = "",
) -> None:
    """Give other code a trial: the stable model in a new image, judged by users as a model is. On a cluster only.

    Example: marquee rollout release score-svd --image registry.example/marquee/score@sha256:0a1b... --why "less memory"
    """
    _change(service, who, why, lambda state, by, now: core.release(state, image, by, why, now))


@commands.command()
def pause(service: Service, why: Why, who: Who = "") -> None:
    """Let users stay where they are until `resume`: no verdict moves them, neither on nor back; a person still can.

    Example: marquee rollout pause score-svdpp --why "a holiday"
    """
    _order(service, "pause", who, why)


@commands.command()
def resume(service: Service, why: Why, who: Who = "") -> None:
    """Follow verdicts again.

    Example: marquee rollout resume score-svdpp --why "back at work"
    """
    _order(service, "resume", who, why)


@commands.command()
def weight(
    svd_percent: Annotated[
        int, typer.Argument(min=0, max=100, help="The percentage of users on SVD.", metavar="SVD_PERCENT")
    ],
    why: Why,
    who: Who = "",
) -> None:
    """Give SVD so many percent of the users, and SVD++ all others; it moves only the users that it must.

    Example: marquee rollout weight 60 --why "SVD answers sooner"
    """
    _check(why)
    deps = bootstrap.build("rollout-weight", environment(), writes=False)
    change = Change(at=deps.now_us(), svd_percent=svd_percent, who=who or _user(), why=why)
    if weights.order(deps.channels, change):
        out.print(f"score-svd {svd_percent} %, score-svdpp {100 - svd_percent} %; recommend follows within seconds.")
    else:
        out.print(f"score-svd has {svd_percent} % already; nothing was changed.")


def _order(service: str, command: Command, who: str, why: str) -> None:
    _change(service, who, why, lambda state, by, now: core.order(state, command, by, why, now))


def _change(service: str, who: str, why: str, change: Callable[[State, str, int], State]) -> None:
    if service not in _SERVICES:
        raise BadInput(f"there is no service {service!r}; there are {', '.join(_SERVICES)}")
    _check(why)
    deps = bootstrap.build("rollout-order", environment(), writes=False)
    who, now = who or _user(), deps.now_us()
    number = rollout.read(service, deps.channels.get(service)).number
    state = rollout.update(deps.channels, service, lambda before: change(before, who, now))
    news = [each for each in state.log if each.number > number and each.who == who]
    for each in news:
        out.print(
            f"{service}: ordered: {each.what.replace('_', ' ')} {each.model_version}", highlight=False, markup=False
        )
    if news:
        out.print("The rollout function carries it out within seconds; `marquee rollout status` tells.")
    else:
        out.print(f"{service} is {'paused already' if state.is_paused else 'not paused'}; nothing was changed.")


def _check(why: str) -> None:
    if not why.strip():
        raise BadInput("--why is empty: whoever reads it later wants to know")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise BadInput("this shell's user has no name: say with --who who you are") from None


def last_decision(state: State, objects: ObjectStore) -> Decision | None:
    """Return the newest decision about a service's canary, else about its stable model. Raises: Corrupt, NotReady."""
    release = state.canary.release if state.canary else state.stable
    if release is None:
        return None
    folder = str(PurePosixPath(keys.decision(state.service, release.model_version, 0)).parent)
    numbers = [int(stem) for key in objects.keys(f"{folder}/") if (stem := PurePosixPath(key).stem).isdecimal()]
    if not numbers:
        return None
    key = keys.decision(state.service, release.model_version, max(numbers))
    try:
        return Decision.from_bytes(objects.get(key).data)
    except (Corrupt, NotFound) as error:
        raise Corrupt(f"{key}: {error}") from error


def _look(deps: bootstrap.Deps) -> tuple[dict[str, State], dict[str, Decision | None], int]:
    """Return where each service stands, what was decided last, and when that was so."""
    states = {service: rollout.read(service, deps.channels.get(service)) for service in _SERVICES}
    decisions = {service: last_decision(state, deps.objects) for service, state in states.items()}
    return states, decisions, deps.now_us()


def _tables(deps: bootstrap.Deps) -> Group:
    """Return all that there is to say, for people."""
    states, decisions, now = _look(deps)
    shared = weights.read(deps)
    changes = [_changes(states)] if any(state.log for state in states.values()) else []
    return Group(_standing(states, decisions, now), shared.table(), shared.words(), *changes)


def _watch(deps: bootstrap.Deps, interval: float) -> None:
    """Draw the tables anew every so many seconds; the last ones stay on the screen. A store may be away meanwhile."""
    with Live(console=out, auto_refresh=False, vertical_overflow="visible") as screen, suppress(KeyboardInterrupt):
        while True:
            try:
                screen.update(_tables(deps), refresh=True)
            except NotReady as error:
                screen.update(Text(str(error)), refresh=True)
            time.sleep(interval)


def _facts(state: State, decision: Decision | None, now: int) -> dict[str, Any]:
    canary = state.canary
    return {
        "state": state.name,
        "age_seconds": round((now - canary.started_at) / 1e6, 1) if canary else None,
        "percent": canary.percent if canary else None,
        "decision": decision.model_dump(mode="json") if decision else None,
        **state.model_dump(mode="json"),
    }


def _standing(states: Mapping[str, State], decisions: Mapping[str, Decision | None], now: int) -> Table:
    table = Table("", *states, title="Models")
    rows = {
        "state": [_named(state) for state in states.values()],
        "stable": [_stable(state) for state in states.values()],
        "canary": [_canary(state, now) for state in states.values()],
        "last decision": [_told(decision) for decision in decisions.values()],
        "before": [state.previous.model_version if state.previous else "" for state in states.values()],
        "waiting": [state.waiting.model_version if state.waiting else "" for state in states.values()],
    }
    for name, cells in rows.items():
        table.add_row(name, *map(Text, cells))
    return table


def _named(state: State) -> str:
    """Return a state's name, and who paused it and why."""
    paused = next((each for each in reversed(state.log) if each.what == "paused"), None)
    who = f" by {paused.who}: {paused.why}" if paused else ""
    return f"{state.name}, paused{who}" if state.is_paused else state.name


def _stable(state: State) -> str:
    if state.stable is None:
        return "none yet"
    since = "" if state.stable_since is None else f"\nsince {moment(state.stable_since)}"
    return f"{state.stable.model_version}, {100 - (state.canary.percent if state.canary else 0)} %{since}"


def _canary(state: State, now: int) -> str:
    canary = state.canary
    if canary is None:
        return ""
    since = timedelta(seconds=max(now - canary.started_at, 0) // 1_000_000)
    silent = "\nit does not answer" if canary.unready_since is not None else ""
    return f"{canary.release.model_version}, {canary.percent} %\nfor {since}{silent}"


def _told(decision: Decision | None) -> str:
    if decision is None:
        return ""
    effect = decision.evidence.get("verdict", {}).get("effect", {})
    counted = f"\n{effect.get('n_canary', 0):,} users of the canary counted, {effect.get('n_stable', 0):,} of stable"
    bounds = [effect.get(name) for name in ("estimate", "lower", "upper")]
    numbers = [each for each in bounds if isinstance(each, float)]
    interval = "\n{:+.4f} ({:+.4f} to {:+.4f})".format(*numbers) if len(numbers) == len(bounds) else ""
    return f"{decision.verdict.replace('_', ' ')}, {moment(decision.decided_at)}{counted}{interval}\n{decision.reason}"


def _told_once(state: State) -> list[rollout.Change]:
    """Return the changes, of models that waited one after another the last: the others never had their turn."""
    runs = groupby(state.log, key=lambda each: each.what)
    return [each for what, run in runs for each in (list(run)[-1:] if what == "waiting" else run)]


def _changes(states: Mapping[str, State]) -> Table:
    table = Table("when", "service", "what", "model", "users", "who", "why", title="Last changes")
    found = sorted(
        ((each, service) for service, state in states.items() for each in _told_once(state)),
        key=lambda found: (found[0].at, found[0].number),
    )
    for each, service in found[-_LAST_CHANGES:]:
        what = each.what.replace("_", " ")
        cells = [moment(each.at), service, what, each.model_version, f"{each.percent} %", each.who, each.why]
        table.add_row(*map(Text, cells))
    return table

"""`marquee rollout status`, `history` and `wait`: where models stand, how they came there, and how a trial ends."""

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Final

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from cli import weights
from cli.console import out, say
from cli.rollout import ahead, tables
from cli.rollout.look import AsJson, Look, Service, check_service, look, look_at_all
from cli.where import environment
from shared import bootstrap, rollout
from shared.errors import BadInput, NotReady

_ENDS: Final[Mapping[str, int]] = {"promoted": 0, "rolled_back": 1}
_TOO_LATE: Final = 2
_LOOK_SECONDS: Final = 2.0


def status(
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 2.0,
) -> None:
    """Say of each service which model is live, which is on trial, what comes next, and what was decided, and by whom.

    And how the users are shared between the algorithms, and which of them they prefer.

    Example: marquee rollout status --watch --interval 5
    """
    if as_json and watch:
        raise BadInput("--watch draws tables for people: ask with --json again and again instead")
    deps = bootstrap.build("rollout-status", environment(), writes=False)
    if watch:
        _watch(deps, interval)
    elif as_json:
        facts = {name: _facts(found) for name, found in look_at_all(deps).items()}
        out.print_json(data={**facts, "experiment": weights.read(deps).facts()})
    else:
        out.print(_tables(deps), highlight=False)


def history(service: Service, as_json: AsJson = False) -> None:
    """Print every change of a service's models that is kept, the oldest first.

    Example: marquee rollout history score-svd
    """
    check_service(service)
    deps = bootstrap.build("rollout-history", environment(), writes=False)
    log = rollout.read(service, deps.channels.get(service)).log
    if as_json:
        out.print_json(data=[each.model_dump(mode="json") for each in log])
    elif log:
        title = f"Changes of {service} (UTC)"
        out.print(tables.changes([(each, service) for each in log], deps.now_us(), title), highlight=False)
    else:
        out.print(f"{service} had no change yet.", highlight=False)


def wait(
    service: Service,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Seconds to wait at most; if not given, as long as it takes.")
    ] = None,
) -> None:
    """Wait until the trial of a model has ended: 0 if it was promoted, 1 if rolled back, 2 if time is over before.

    Also 2, with what is wrong, if nothing is on trial.

    Example: marquee rollout wait score-svd --timeout 3600 && echo promoted
    """
    check_service(service)
    deps = bootstrap.build("rollout-wait", environment(), writes=False)
    found = look(deps, service)
    if found.state.canary is None:
        raise BadInput(f"{service} has no model on trial; `marquee rollout history {service}` tells how the last ended")
    number, told = found.state.number, ""
    until = None if timeout is None else time.monotonic() + timeout
    say(f"{service}: {tables.short(found.state.canary.release.model_version)} is on trial")
    while True:
        try:
            found = look(deps, service)
            line = "; ".join(ahead.lines(found)[:2])
        except NotReady as error:
            line = str(error)
        end = next((each for each in found.state.log if each.number > number and each.what in _ENDS), None)
        if end:
            say(f"{service}: {end.what.replace('_', ' ')} {tables.short(end.model_version)} by {end.who}: {end.why}")
            raise typer.Exit(_ENDS[end.what])
        if line != told:
            say(f"{service}: {line}")
            told = line
        if until is not None and time.monotonic() >= until:
            say(f"{service}: the trial has not ended in {timeout:g} s")
            raise typer.Exit(_TOO_LATE)
        time.sleep(_LOOK_SECONDS if until is None else max(0.0, min(_LOOK_SECONDS, until - time.monotonic())))


def _tables(deps: bootstrap.Deps) -> Group:
    """Return all that there is to say, for people."""
    looks, shared = look_at_all(deps), weights.read(deps)
    is_any = any(found.state.log for found in looks.values())
    changes = [tables.last_changes(looks, deps.now_us())] if is_any else []
    return Group(tables.standing(looks), tables.coming(looks), shared.table(), shared.words(), *changes)


def _watch(deps: bootstrap.Deps, interval: float) -> None:
    """Draw the tables anew every so many seconds; the last ones stay on the screen. A store may be away meanwhile."""
    with Live(console=out, auto_refresh=False, vertical_overflow="visible") as screen, suppress(KeyboardInterrupt):
        while True:
            try:
                screen.update(_tables(deps), refresh=True)
            except NotReady as error:
                screen.update(Text(str(error)), refresh=True)
            time.sleep(interval)


def _facts(found: Look) -> dict[str, Any]:
    canary = found.state.canary
    return {
        "state": found.state.name,
        "age_seconds": round((found.now - canary.started_at) / 1e6, 1) if canary else None,
        "percent": canary.percent if canary else None,
        "next": ahead.lines(found),
        "decision": found.decision.model_dump(mode="json") if found.decision else None,
        "refused": found.refused or None,
        **found.state.model_dump(mode="json"),
    }

"""What comes next for a service, and what it takes: plain lines from its state and the last decision."""

from typing import Final

from cli.console import clock
from cli.rollout.evidence import Evidence
from cli.rollout.look import Look
from functions.evaluate_online.period import first, on_trial, settling
from shared.decision import Decision
from shared.rollout import Canary

_SECOND: Final = 1_000_000
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE


def lines(look: Look) -> list[str]:
    """Return what comes next, how many users count, and what was found about them. Raises: Corrupt."""
    canary, decision = on_trial(look.state), _about_canary(look)
    told = [next_step(look)]
    if canary:
        told.append(_users(look, decision))
    if decision:
        told += _found(Evidence.of(decision))
    return told


def next_step(look: Look) -> str:
    """Return what happens next, and what it waits for."""
    state, canary = look.state, look.state.canary
    resume = f"`marquee rollout resume {state.service}`"
    if canary is None:
        comes = "nothing on trial; the next model that passes the offline gate will be"
        comes = comes if state.stable else "no model yet; the first one that passes the offline gate gets all users"
        return f"{comes}, once there was {resume}" if state.is_paused else comes
    if canary.phase == "deploying":
        return _deploying(look, canary, resume)
    if state.is_paused:
        return f"stays at {canary.percent} %; waits for {resume}"
    if canary.unready_since is not None:
        until = canary.unready_since + look.settings.unready_seconds * _SECOND
        return f"does not answer; goes back if that lasts until {_at(until, look)}"
    return _serving(look, canary)


def _deploying(look: Look, canary: Canary, resume: str) -> str:
    if look.state.is_paused:
        return f"{'ready' if canary.is_ready else 'not ready yet'}; waits for {resume}"
    users = f"{look.settings.canary_steps[0]} % of the users" if look.state.stable else "all users"
    until = canary.started_at + look.settings.deploy_seconds * _SECOND
    return f"gets {users} once it is ready; goes back if it is not by {_at(until, look)}"


def _serving(look: Look, canary: Canary) -> str:
    if canary.phase == "held":
        return f"held at {canary.percent} % until a verdict or an order, or until the next model passes the gate"
    ends = _at(canary.started_at + look.settings.canary_max_hours * _HOUR, look)
    over = f"without a verdict by {ends} {'it makes room for the next' if look.state.waiting else 'it is held'}"
    step = next((percent for percent in look.settings.canary_steps if percent > canary.percent), None)
    if step is None:
        return f"waits for a verdict at the last step; {over}"
    since = max(canary.periods[-1].since + look.settings.canary_step_seconds * _SECOND, _opens(look))
    early = f"not before {_at(since, look)}, " if since > look.now else ""
    return f"next step {step} % {early}once every guardrail is ok; {over}"


def _users(look: Look, decision: Decision | None) -> str:
    settings = look.settings
    if look.state.routed_at is None:
        return "users count once the router shares them out so"
    window = settings.online_window_minutes
    if _opens(look) > look.now:
        return f"users count from {_at(_opens(look), look)} on, {_long(window)} after their first list"
    if decision is None:
        return f"users count, {_long(window)} after their first list; no decision about them yet"
    found = Evidence.of(decision)
    return (
        f"{found.counted('canary'):,} users of the canary and {found.counted('stable'):,} of stable count, "
        f"of {found.rules.min_users:,} of each"
    )


def _opens(look: Look) -> float:
    """Return when the first user counts, in microseconds since 1970; without any no guardrail is ok."""
    settings = look.settings
    since = first(look.state, look.now, settling(settings.channel_poll_seconds), 0).since
    return since + settings.online_window_minutes * _MINUTE


def _found(evidence: Evidence) -> list[str]:
    effect = evidence.verdict.effect
    if effect.estimate is None:
        watched = "nothing to compare yet"
    else:
        watched = f"{effect.estimate:+.4f} ({effect.lower:+.4f} to {effect.upper:+.4f})"
    asked = f"promoted if all is above {-evidence.rules.margin:+g}, rolled back if all is below 0"
    guardrails = ", ".join(f"{each.name} {each.status}" for each in evidence.verdict.guardrails)
    return [f"watched something: {watched}; {asked}", *([f"guardrails: {guardrails}"] if guardrails else [])]


def _about_canary(look: Look) -> Decision | None:
    """Return the last decision if it is about the users that the canary has now: a new share is a new count."""
    canary, decision, routed_at = on_trial(look.state), look.decision, look.state.routed_at
    if canary is None or decision is None or routed_at is None:
        return None
    is_it = decision.revision == canary.release.revision and decision.decided_at >= routed_at
    return decision if is_it and Evidence.of(decision).percent == canary.percent else None


def _at(microseconds: float, look: Look) -> str:
    return f"{clock(round(microseconds), look.now)} UTC"


def _long(minutes: float) -> str:
    if minutes == 60:
        return "an hour"
    return f"{minutes:g} minutes" if minutes >= 1 else f"{60 * minutes:g} seconds"

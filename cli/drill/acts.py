"""The acts of a drill: what is done, and what must come of it."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cli.drill.stage import SERVICE, SPAM_SHARES, Stage
from cli.simulator import past
from cli.simulator.planted import shuffled
from functions.evaluate_online.arms import LEAST_AUDIENCE
from functions.evaluate_online.verdict import LEVELS
from functions.rollout.core import order
from shared import rollout
from shared.errors import MarqueeError, NotReady
from shared.rollout import Change, Release, State, What

MOST_SHOWN: Final = LEAST_AUDIENCE * LEVELS["audience of one movie"]
"""The share of users that a guardrail lets see a movie which hardly anybody saw before."""

_LIVE_SECONDS: Final = 150.0
_DEPLOYED_SECONDS: Final = 120.0
_JUDGED_SECONDS: Final = 240.0
_SILENT_SECONDS: Final = 20.0
_NEW_SEED: Final = 11


@dataclass(frozen=True)
class Played:
    """What came of an act: what was found out and changed in the service, and what went wrong, empty if nothing did."""

    title: str
    expected: str
    started_at: datetime
    seconds: float
    changes: Sequence[Change] = field(default_factory=list)
    wrong: str = ""
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Act:
    """Something to play; `play` returns what went wrong."""

    title: str
    expected: str
    play: Callable[[Stage], str]

    def on(self, stage: Stage) -> Played:
        """Play it; whatever else fails is what went wrong, and answers other than lists are, in any act."""
        started_at, began, before = datetime.now(UTC), time.monotonic(), stage.state.number
        stage.notes.clear()
        bad_before = bad_answers(stage)
        try:
            wrong = self.play(stage)
        except MarqueeError as error:
            wrong = str(error)
        bad = bad_answers(stage) - bad_before
        if bad:
            wrong = f"{wrong}; {bad} requests got no list".removeprefix("; ")
        if stage.crowds.failure is not None:
            wrong = f"{wrong}; nobody visits any more: {stage.crowds.failure!r}".removeprefix("; ")
        seconds = time.monotonic() - began
        changes, notes = stage.changes_since(before), tuple(stage.notes)
        return Played(self.title, self.expected, started_at, seconds, changes, wrong, notes)


def bad_answers(stage: Stage) -> int:
    """Return how many requests got something else than a list so far."""
    played = stage.crowds.played
    return sum(played.asked.statuses.values()) - played.lists


def go_live(stage: Stage) -> str:
    """The first models are trained on a short past, and there is nothing to compare them with."""
    stage.archive("first")
    stage.wait(stage.all_live, "two live models", _LIVE_SECONDS)
    return ""


def improve(stage: Stage) -> str:
    """Three times the data make a better model: users must show it, and then get it."""
    before = stage.state
    stage.archive("more")
    return _ends(stage, before.number, "promoted")


def spoil(stage: Stage) -> str:
    """A model that takes every movie for another passes a gate that nobody looked through."""
    before = stage.state
    stage.release("planted-bad", shuffled(stage.stable_model(), _NEW_SEED))
    return _ends(stage, before.number, "rolled_back") or _is_judged(stage, before.number)


def attack(stage: Stage) -> str:
    """Fake profiles push a movie that few watch. A few of them reach nobody; the next model learns from many."""
    before = stage.state
    people = stage.crowd.population
    movie = people.movies[int(people.popularity.argmin())]
    *few, many = SPAM_SHARES
    known = stage.ratings()
    lines, ratings = past.spam(people, movie, many, datetime.now(UTC)), stage.n_ratings()
    stage.write(lines)
    stage.wait(lambda: stage.n_ratings() >= ratings + len(lines), "the attackers' ratings", _DEPLOYED_SECONDS)
    stage.archive("beside-spam")
    shown = {share: stage.audience(known, past.spam(people, movie, share, datetime.now(UTC)), movie) for share in few}
    stage.notes.extend(f"{share:.0%} fake profiles: the movie in {each:.0%} of lists" for share, each in shown.items())
    model_version = _on_trial(stage).model_version
    stage.notes.append(f"{many:.0%} fake profiles")
    try:
        wrong = _ends(stage, before.number, "rolled_back") or _is_judged(stage, before.number)
    except NotReady:  # held until now, which is as good
        over(stage)
        wrong = _is_held(stage, model_version)
    if max(shown.values()) > MOST_SHOWN:
        return f"{'; '.join(stage.notes)}: a guardrail would have to stop a few as well, and nobody tried"
    return wrong


def die(stage: Stage) -> str:
    """The canary's processes are killed again and again: its users get other models' lists, and then other models."""
    before = stage.state
    stage.release("planted-mortal", stage.stable_model())
    revision = _on_trial(stage).revision
    deadline = time.monotonic() + _JUDGED_SECONDS
    while stage.state.name == "canary" and time.monotonic() < deadline:
        stage.ground.kill(revision)
        time.sleep(1)
    return _ends(stage, before.number, "rolled_back")


def fall_silent(stage: Stage) -> str:
    """The site's log stops while a canary serves: nobody knows what users do, so nothing may follow from it."""
    model = "planted-unknown"
    stage.release(model, stage.stable_model())
    stage.crowds.silent.set()
    try:
        _on_trial(stage)
        number = stage.state.number
        time.sleep(_SILENT_SECONDS)
        with suppress(NotReady):  # that nobody decided is said below
            stage.wait(lambda: not _is_held(stage, model) or stage.state.number != number, "a look", _DEPLOYED_SECONDS)
        moved = [change.what for change in stage.changes_since(number)]
    finally:
        stage.crowds.silent.clear()
        over(stage)
    if moved:
        return f"it was not held: {', '.join(moved)}"
    return _is_held(stage, model)


ACTS: Final = (
    Act("the first models go live", "both live, without a canary", go_live),
    Act("a better model", "promoted, as users watch more of what it recommends, or no less", improve),
    Act("a bad model passes the gate", "rolled back, as users watch less", spoil),
    Act("a spam attack", "a few fake profiles reach hardly anybody; the model of many is not promoted", attack),
    Act("the canary dies", "rolled back, as other models answer its users", die),
    Act("the verdict's data go missing", "held: no verdict without data", fall_silent),
)


def _ends(stage: Stage, number: int, wanted: What) -> str:
    """Wait for the next canary's end, and return what is wrong with it."""
    ends: set[What] = {"promoted", "rolled_back"}

    def ended() -> list[What]:
        return [change.what for change in stage.changes_since(number) if change.what in ends]

    stage.wait(lambda: bool(ended()), "an end of the canary", _JUDGED_SECONDS)
    found = ended()[0]
    return "" if found == wanted else f"it was {found.replace('_', ' ')}"


def over(stage: Stage) -> None:
    """Take the canary back, if there is one still."""
    now, why = stage.deps.now_us(), "held to the end of the act, then taken back"

    def back(state: State) -> State:
        return order(state, "rollback", "drill", why, now) if state.canary else state

    rollout.update(stage.deps.channels, SERVICE, back)


def _on_trial(stage: Stage) -> Release:
    """Wait until a canary has users, and return it."""
    stage.wait(lambda: stage.state.name == "canary", "a canary with users", _DEPLOYED_SECONDS)
    canary = stage.state.canary
    assert canary
    return canary.release


def _is_held(stage: Stage, model_version: str) -> str:
    """Return what is wrong unless somebody looked at a canary, and decided to hold it."""
    held = [each for each in stage.decisions() if each.model_version == model_version and each.verdict == "hold"]
    return "" if held else "nobody decided to hold it"


def _is_judged(stage: Stage, number: int) -> str:
    """Return what is wrong unless a stored decision was the reason."""
    ends = [change for change in stage.changes_since(number) if change.what == "rolled_back"]
    return "" if ends and ends[0].evidence else "no stored decision was the reason"

"""`marquee rollout promote` and the other orders: what a person says, kept with name and reason."""

import getpass
import re
from collections.abc import Callable
from typing import Annotated, Final

import typer

from cli import weights
from cli.console import out, say
from cli.rollout.look import Service, check_service
from cli.where import environment, is_one_machine
from functions.rollout import core
from functions.rollout.core import Command
from shared import bootstrap, rollout
from shared.errors import BadInput
from shared.experiment import Change
from shared.rollout import State

_DIGEST: Final = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}", re.ASCII)

Model = Annotated[
    str | None,
    typer.Option("--model", help="The model that is meant, by its version or the beginning of it.", metavar="VERSION"),
]
Why = Annotated[str, typer.Option("--why", help="The reason; it is kept with the change.")]
Who = Annotated[str, typer.Option("--who", help="Who orders it; the user of this shell if not given.")]


def promote(service: Service, why: Why, model: Model = None, who: Who = "") -> None:
    """Give the canary all users, without waiting for a verdict; with --model only if it is that one still.

    Example: marquee rollout promote score-svd --model 53a6c0de --why "the site asked for it"
    """
    _order(service, "promote", who, why, model)


def rollback(service: Service, why: Why, model: Model = None, who: Who = "") -> None:
    """Take the canary's users away; without a canary, go back to the model before the stable one.

    With --model only if it is that one still; the stable model is never taken back without.
    The model that loses its users is never tried again by itself.

    Example: marquee rollout rollback score-svd --model 53a6c0de --why "complaints about repeated movies"
    """
    _order(service, "rollback", who, why, model)


def release(
    service: Service,
    image: Annotated[str, typer.Option("--image", help="The image with the new code, by digest.")],
    why: Why,
    who: Who = "",
) -> None:
    """Give other code a trial: the stable model in a new image, judged by users as a model is. On a cluster only.

    Example: marquee rollout release score-svd --image registry.example/marquee/score@sha256:0a1b... --why "less memory"
    """
    if is_one_machine():
        raise BadInput("`release` is for a cluster: on one machine every revision runs the code that lies here")
    if not _DIGEST.fullmatch(image):
        raise BadInput(f"{image!r} is no image by digest, such as registry.example/score@sha256: and 64 hex digits")
    _change(service, who, why, lambda state, by, now: core.release(state, image, by, why, now))


def pause(service: Service, why: Why, who: Who = "") -> None:
    """Let users stay where they are until `resume`: no verdict moves them, neither on nor back; a person still can.

    Example: marquee rollout pause score-svdpp --why "a holiday"
    """
    _order(service, "pause", who, why)


def resume(service: Service, why: Why, who: Who = "") -> None:
    """Follow verdicts again.

    Example: marquee rollout resume score-svdpp --why "back at work"
    """
    _order(service, "resume", who, why)


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
    who = _giver(who, why)
    deps = bootstrap.build("rollout-weight", environment(), writes=False)
    change = Change(at=deps.now_us(), svd_percent=svd_percent, who=who, why=why)
    if weights.order(deps.channels, change):
        out.print(f"score-svd {svd_percent} %, score-svdpp {100 - svd_percent} %; recommend follows within seconds.")
    else:
        out.print(f"score-svd has {svd_percent} % already; nothing was changed.")


def _order(service: str, command: Command, who: str, why: str, model: str | None = None) -> None:
    _change(service, who, why, lambda state, by, now: core.order(state, command, by, why, now, model))


def _change(service: str, who: str, why: str, change: Callable[[State, str, int], State]) -> None:
    check_service(service)
    who = _giver(who, why)
    deps = bootstrap.build("rollout-order", environment(), writes=False)
    now, before = deps.now_us(), State(service=service)

    def changed(state: State) -> State:
        nonlocal before
        before = state
        return change(state, who, now)

    after = rollout.update(deps.channels, service, changed)
    news = [each for each in after.log if each.number > before.number and each.who == who]
    for line in [f"{service}: ordered: {_said(each, before)}" for each in news] + _follows(before, after):
        say(line)
    if news:
        say("The rollout function carries it out within seconds; `marquee rollout status` tells.")
    else:
        say(f"{service} is {'paused already' if after.is_paused else 'not paused'}; nothing was changed.")


def _said(change: rollout.Change, before: State) -> str:
    role = "the canary" if before.canary else "the stable model"
    about = f", {role}" if change.what in ("promoted", "rolled_back") else ""
    return f"{change.what.replace('_', ' ')} {change.model_version}{about}"


def _follows(before: State, after: State) -> list[str]:
    """Return what took the place of the model that an order was about."""
    was, is_ = before.canary, after.canary
    if was and is_ and was.release != is_.release:
        return [f"{is_.release.model_version}, which waited, is on trial now."]
    if not was and before.stable and after.stable and before.stable != after.stable:
        return [f"{after.stable.model_version} is the stable model again."]
    return []


def _giver(who: str, why: str) -> str:
    """Return who gives an order. Raises: BadInput if that, or why, could not be kept or would say nothing."""
    if not why.strip():
        raise BadInput("--why is empty: whoever reads it later wants to know")
    who = who or _user()
    for option, text in (("--who", who), ("--why", why)):
        try:
            text.encode()
        except UnicodeEncodeError:  # how Python keeps bytes of a command line that are no UTF-8
            raise BadInput(f"{option} is no text in UTF-8: {text!r}") from None
    return who


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise BadInput("this shell's user has no name: say with --who who you are") from None

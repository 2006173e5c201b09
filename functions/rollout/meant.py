"""Whether an order is about the model that its giver means, or about another that came in its place meanwhile."""

import shlex

from shared.errors import BadInput
from shared.rollout import Release, State


def check(state: State, command: str, model: str | None, why: str) -> None:
    """Let an order to promote or to roll back pass if it is about the model that is named.

    `model` is a version or the beginning of one, or a whole revision. Without a name the canary is meant; the stable
    model is taken back by its name only, and by its revision's if a trial of the same model was taken back just now.
    Raises: BadInput with the model that the order would be about, and the command that is about it.
    """
    about = state.canary.release if state.canary else state.stable
    if about is None:
        return
    if state.canary is None:
        last = state.log[-1] if state.log else None
        is_again = last is not None and (last.what, last.model_version) == ("rolled_back", about.model_version)
        if model is None or (is_again and model != about.revision):
            name = about.revision if is_again else about.model_version
            raise BadInput(
                f"{state.service} has no model on trial; {_say(name, about)} is the stable one. "
                f"To take that back: {_command(state, command, name, why)}"
            )
    if model is not None and not _is(about, model):
        role = "on trial" if state.canary else "the stable one"
        raise BadInput(
            f"{model} is not the model of {state.service} that is {role}; {about.model_version} is. "
            f"If that one is meant: {_command(state, command, about.model_version, why)}"
        )


def _is(release: Release, model: str) -> bool:
    return release.revision == model or (bool(model) and release.model_version.startswith(model))


def _say(name: str, release: Release) -> str:
    return name if name == release.model_version else f"{name} ({release.model_version})"


def _command(state: State, command: str, name: str, why: str) -> str:
    return f"marquee rollout {command} {state.service} --model {name} --why {shlex.quote(why)}"

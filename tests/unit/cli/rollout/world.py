"""A service whose models a test lets live, and the commands about it."""

from typer.testing import CliRunner

from cli.main import app
from functions.rollout import core
from shared import keys
from shared.decision import Decision
from shared.rollout import State, read, update

SERVICE = "score-svd"
RULES = core.Rules((5, 25), 1, 1, 1, 10**12)
HOUR = 3_600_000_000


def invoke(*arguments):
    """Run a command, and return how it ended; what it raised is raised."""
    done = CliRunner().invoke(app, ["rollout", *arguments], catch_exceptions=True)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def run(*arguments):
    return invoke(*arguments).output


def live(deps, *versions, canary=None):
    """Let models be stable one after another, and perhaps one on trial."""
    now = deps.now_us() - 2 * HOUR

    def change(state: State) -> State:
        for lake_version, version in enumerate(versions, 1):
            state = core.observe(core.accept(state, version, lake_version, now), True, "", now, RULES)
            if state.canary:
                state = core.order(state, "promote", "ann", "it is good", now)
        if canary:
            state = core.observe(core.accept(state, canary, 99, now), True, "", now, RULES)
        return core.routed(state, state.number, now)

    return update(deps.channels, SERVICE, change)


def decide(deps, version, number, revision=None, **evidence):
    decision = Decision(
        service=SERVICE,
        model_version=version,
        revision=revision or core.revision(SERVICE, version),
        against="m1",
        number=number,
        decided_at=deps.now_us(),
        verdict="hold",
        is_safe=True,
        reason=f"[bold] reason {number}",
        evidence=evidence,
    )
    deps.objects.put(keys.decision(SERVICE, version, number), decision.to_bytes(deps.signer))


def standing(deps):
    return read(SERVICE, deps.channels.get(SERVICE))

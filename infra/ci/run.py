"""Stages, run one after another until one fails."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from infra.ci.stages import Stage


@dataclass(frozen=True)
class Done:
    """What came of a target: its exit status, and how long it took."""

    stage: str
    target: str
    status: int
    seconds: float


def run(
    stages: Sequence[Stage], make: Callable[[Stage, str], int], clock: Callable[[], float] = time.monotonic
) -> Iterator[Done]:
    """Yield what came of each target, stage by stage; none is begun after a stage in which one failed."""

    def timed(stage: Stage, target: str) -> Done:
        began = clock()
        status = make(stage, target)
        return Done(stage.name, target, status, clock() - began)

    for stage in stages:
        with ThreadPoolExecutor(len(stage.targets)) as together:
            done = list(together.map(timed, [stage] * len(stage.targets), stage.targets))
        yield from done
        if any(each.status for each in done):
            return


def minutes(done: Sequence[Done], left_out: Sequence[Stage] = ()) -> str:
    """Return a line for each target, and one for all, for a person to read."""
    lines = [
        f"{each.stage:<18} {each.target:<14} {each.seconds / 60:6.2f} min{'' if each.status == 0 else '  failed'}"
        for each in done
    ]
    lines += [f"{stage.name:<18} {target:<14} not run" for stage in left_out for target in stage.targets]
    longest = {each.stage: 0.0 for each in done}
    for each in done:
        longest[each.stage] = max(longest[each.stage], each.seconds)
    return "\n".join([*lines, f"{'in all':<33} {sum(longest.values()) / 60:6.2f} min"])

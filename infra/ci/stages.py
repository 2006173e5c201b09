"""The one list of what is done with a commit to the main branch, in order. A test compares the Jenkinsfile with it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from shared.errors import BadInput


@dataclass(frozen=True)
class Stage:
    """A stage by the name that it has in Jenkins; its make targets run at the same time."""

    name: str
    targets: tuple[str, ...]
    has_store: bool = False
    """Whether it is told where the site's bucket is, which no test may see."""
    on_cluster: bool = False
    """Whether it acts on a cluster where Marquee runs."""


STAGES: Final = (
    Stage("Install", ("install",)),
    Stage("Lint", ("lint",)),
    Stage("Audit", ("audit",)),
    Stage("Unit tests", ("test-events", "test-lake", "test-trainers", "test-serving", "test-releases")),
    Stage("Coverage", ("coverage",)),
    Stage("Integration tests", ("integration",)),
    Stage("Fetch", ("fetch",), has_store=True),
    Stage("Preprocess", ("preprocess",), has_store=True),
    Stage("Retrain", ("retrain",), has_store=True),
    Stage("Register", ("register",), has_store=True),
    Stage("Offline gate", ("gate",), has_store=True),
    Stage("Images", ("images",)),
    Stage("Rollout", ("rollout",), has_store=True, on_cluster=True),
    Stage("Offer", ("offer",), has_store=True, on_cluster=True),
    Stage("Online report", ("online-report",), has_store=True),
)

TARGETS: Final = tuple(target for stage in STAGES for target in stage.targets)


def chosen(names: Iterable[str], stages: Sequence[Stage] = STAGES) -> list[Stage]:
    """Return the stages that have one of these targets, with those alone; all if none is named. Raises: BadInput."""
    wanted = set(names)
    if unknown := sorted(wanted - {target for stage in stages for target in stage.targets}):
        raise BadInput(f"no stage makes {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    if not wanted:
        return list(stages)
    parts = [(stage, tuple(target for target in stage.targets if target in wanted)) for stage in stages]
    return [replace(stage, targets=targets) for stage, targets in parts if targets]

"""Which of both algorithms users prefer, and the step of the weight between them that follows, if steps are allowed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from functions.evaluate_online import arms
from functions.evaluate_online.arms import OneArm
from functions.evaluate_online.behaviour import Behaviour
from functions.evaluate_online.observe import Online
from functions.evaluate_online.period import Period, compared
from functions.evaluate_online.sequence import difference
from shared import bootstrap, keys
from shared.channels import unreadable
from shared.events import ALGORITHMS, Algorithm
from shared.experiment import Change, Comparison, Experiment, comparison, known, noted, stepped
from shared.rollout import AHEAD_MOST, State

WHO = "evaluate_online"


@dataclass(frozen=True)
class Pair:
    """Both algorithms' stable models, the weight between them if it was noted, and the period to compare them by."""

    states: Mapping[Algorithm, State]
    standing: Experiment | None
    period: Period
    online: Online

    @property
    def svd_percent(self) -> int:
        """The percentage of users on SVD."""
        return self.standing.svd_percent if self.standing else self.online.deps.settings.score_svd_weight

    def compare(self, behaviour: Behaviour) -> Comparison:
        """Return which of them users prefer, SVD++ minus SVD; neither without enough users of each."""
        seen, settings = behaviour.between(*self.period), self.online.deps.settings
        one, other = (
            OneArm(seen, f"{algorithm}:stable", state.stable.revision, self.online.window)
            for algorithm in ALGORITHMS
            if (state := self.states[algorithm]).stable
        )
        found = difference(arms.watched(other, one), settings.verdict_alpha)
        is_enough = min(found.n_canary, found.n_stable) >= settings.verdict_min_users
        preferred = other.name if found.lower > 0 else one.name if found.upper < 0 else None
        return Comparison.model_validate(
            {"preferred": preferred if is_enough else None, "since": self.period.since, "svd_percent": self.svd_percent}
            | asdict(found)
        )

    def shift(self, version: int) -> None:
        """Move the weight a step towards the algorithm that the stored report of a version prefers, once.

        Not without EXPERIMENT_STEP, nor while a person has paused either service; nor if the report is of another
        period, as when the step was made already, or if anybody has moved the weight since.
        Raises: Corrupt if the report cannot be read; Conflict, NotReady.
        """
        deps, evidence = self.online.deps, keys.online_report(version)
        step = deps.settings.experiment_step
        if not step or any(state.is_paused for state in self.states.values()):
            return
        found = comparison(deps.objects.get(evidence).data)
        if not found or not found.better or found.since != self.period.since:
            return
        percent = stepped(self.svd_percent, found.better, step)
        if percent == self.svd_percent:
            return
        why = f"users prefer {found.better}: SVD++ minus SVD is between {found.lower:+.4f} and {found.upper:+.4f}"
        change = Change(at=deps.now_us(), svd_percent=percent, who=WHO, why=why, evidence=evidence)
        after = noted(self.standing, change)
        stands = deps.channels.revise(
            keys.EXPERIMENT_CHANNEL, Experiment, lambda before: after if before == self.standing else None
        )
        if stands == after:
            deps.log.info("weight_shifted", svd_percent=percent, why=why, evidence=evidence)


def pair(states: Mapping[Algorithm, State], now: int, online: Online) -> Pair | None:
    """Return what is to be compared, None if an algorithm has no model. Raises: Conflict, NotReady."""
    if len(states) < len(ALGORITHMS):
        return None
    standing = _begun(online.deps) if online.deps.settings.experiment_step else known(online.deps.channels)
    weighed = standing.since if standing and not _is_to_come(standing, now) else 0
    return Pair(states, standing, compared(states.values(), weighed, now, online.settle, online.length), online)


def _begun(deps: bootstrap.Deps) -> Experiment | None:
    """Return what stands, noting the setting if nothing can be read: nobody knows since when it is the weight."""
    why = "the setting SCORE_SVD_WEIGHT: the channel said nothing"
    setting = Change(at=deps.now_us(), svd_percent=deps.settings.score_svd_weight, who=WHO, why=why)

    def begun(before: Experiment | None) -> Experiment | None:
        if before is None:
            return noted(None, setting)
        if not _is_to_come(before, setting.at):
            return None
        why = "the channel had a moment that is still to come: since when this is the weight is not known"
        return noted(None, setting.model_copy(update={"svd_percent": before.svd_percent, "why": why}))

    return deps.channels.revise(keys.EXPERIMENT_CHANNEL, Experiment, begun)


def _is_to_come(standing: Experiment, now: int) -> bool:
    """Say, and tell, whether a weight holds only from a day on that is still to come, as no clock is so wrong."""
    if standing.since <= now + AHEAD_MOST:
        return False
    unreadable(keys.EXPERIMENT_CHANNEL, f"a weight that holds from {standing.since} µs after 1970 on")
    return True

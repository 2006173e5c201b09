"""How the users are shared between the algorithms, as a person orders it and is told of it."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from rich.table import Table
from rich.text import Text

from cli.console import moment
from shared import experiment, keys
from shared.bootstrap import Deps
from shared.channels import Channels
from shared.errors import Corrupt, NotFound
from shared.experiment import Change, Comparison, Experiment
from shared.ports import ObjectStore


@dataclass(frozen=True)
class Shared:
    """Who ordered which share when, None if only a setting did; and what the newest online report says of it."""

    svd_percent: int
    standing: Experiment | None
    comparison: Comparison | None

    def facts(self) -> dict[str, Any]:
        """Return everything for a machine to read."""
        return {
            "weights": {keys.score_service(name): share for name, share in experiment.shares(self.svd_percent).items()},
            "changes": self.standing.model_dump(mode="json")["log"] if self.standing else [],
            "preferred": self.comparison.better if self.comparison else None,
            "comparison": self.comparison.model_dump(mode="json") if self.comparison else None,
        }

    def table(self) -> Table:
        """Return for a person to read how many users each service has, and how many of them watched."""
        weights = experiment.shares(self.svd_percent)
        table = Table("", *map(keys.score_service, weights), title="Algorithms")
        table.add_row("users", *(f"{share} %" for share in weights.values()))
        table.add_row("watched from their lists", *map(Text, self._watched()))
        return table

    def words(self) -> Text:
        """Return since when it is so, by whom and why, and which algorithm users prefer."""
        return Text(f"shared {self._ordered()}\n{self._preferred()}")

    def _watched(self) -> list[str]:
        found = self.comparison
        if found is None or found.canary is None or found.stable is None:
            return ["", ""]
        return [f"{found.stable:.2%} of {found.n_stable:,}", f"{found.canary:.2%} of {found.n_canary:,}"]

    def _ordered(self) -> str:
        if self.standing is None:
            return "by the setting SCORE_SVD_WEIGHT"
        last = self.standing.log[-1]
        return f"since {moment(last.at)} by {last.who}: {last.why}"

    def _preferred(self) -> str:
        found = self.comparison
        if found is None:
            return "not compared yet"
        which = f"users prefer {found.better}" if found.better else "users prefer neither for sure"
        estimate = "" if found.estimate is None else f"{found.estimate:+.4f} "
        return f"{which}: SVD++ minus SVD {estimate}({found.lower:+.4f} to {found.upper:+.4f})"


def read(deps: Deps) -> Shared:
    """Return how the users are shared now. Raises: Corrupt, NotReady."""
    standing = experiment.known(deps.channels)
    percent = standing.svd_percent if standing else deps.settings.score_svd_weight
    return Shared(percent, standing, last_comparison(deps.objects))


def last_comparison(objects: ObjectStore) -> Comparison | None:
    """Return what the newest online report says of the algorithms, None if nothing. Raises: Corrupt, NotReady."""
    folder = f"{PurePosixPath(keys.online_report(0)).parent}/"
    numbers = [int(stem) for key in objects.keys(folder) if (stem := PurePosixPath(key).stem).isdecimal()]
    if not numbers:
        return None
    key = keys.online_report(max(numbers))
    try:
        return experiment.comparison(objects.get(key).data)
    except (Corrupt, NotFound) as error:
        raise Corrupt(f"{key}: {error}") from error


def order(channels: Channels, change: Change) -> bool:
    """Store a person's order, over damage too; say whether it changed anything. Raises: Conflict, NotReady."""

    def ordered(before: Experiment | None) -> Experiment | None:
        return None if before and before.svd_percent == change.svd_percent else experiment.noted(before, change)

    stands = channels.revise(keys.EXPERIMENT_CHANNEL, Experiment, ordered)
    return stands is not None and stands.log[-1] == change

"""When each step of a release was done, as the things say that it left in the bucket: nothing is timed from outside."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from numpy.typing import NDArray

from cli.drill.stage import Stage
from shared import keys
from shared.adapters.s3 import delta_options
from shared.artifacts import MANIFEST, Manifest
from shared.events import MOVIELOG

ENDS: Final = frozenset({"promoted", "rolled_back"})


@dataclass(frozen=True)
class Release:
    """A model that its users' verdict promoted or rolled back.

    `moments` are when its steps were done, in order, by the name of the step, in microseconds since 1970, UTC; the
    first of them is when the last rating that its matrix waited for was logged.
    """

    model_version: str
    outcome: str
    moments: Mapping[str, int]

    def seconds(self, first: str, last: str) -> float:
        """Return the seconds from the end of one step to the end of another."""
        return (self.moments[last] - self.moments[first]) / 1e6

    @property
    def steps(self) -> dict[str, float]:
        """The seconds that each step took."""
        return {step: round(self.seconds(before, step), 2) for before, step in pairwise(self.moments)}


def n_ended(stage: Stage) -> int:
    """Return how many canaries a verdict has ended."""
    return sum(change.what in ENDS and change.evidence is not None for change in stage.state.log)


def releases(stage: Stage) -> list[Release]:
    """Return the releases that a verdict has ended, in order. Raises: NotFound, Corrupt, NotReady."""
    artifacts, log = stage.deps.artifacts, stage.state.log
    due, committed, served = _due(stage), _committed(stage), _served(stage)
    found = []
    for end in (change for change in log if change.what in ENDS and change.evidence):
        version = end.model_version
        changed = {change.what: change.at for change in reversed(log) if change.model_version == version}
        model, report = (artifacts.manifest(at("svd", version)) for at in (keys.model, keys.report))
        assert model.made_from
        matrix = artifacts.manifest(model.made_from)
        assert matrix.lake_version is not None
        moments = {
            "logged": due[matrix.id],
            "in the lake": committed[matrix.lake_version],
            "matrix": _moment(matrix),
            "trained": _moment(model),
            "gate": _moment(report),
            "its turn": changed["deploying"],
            "deployed": changed["canary"],
            "first user": served[version],
            "decided": end.at,
        }
        found.append(Release(version, end.what, moments))
    return found


def _due(stage: Stage) -> dict[str, int]:
    """Return for each matrix but the first when as many ratings were logged as it waited for."""
    ratings = stage.deps.lake.read("rating", ["time"])
    is_logged = pc.equal(ratings["topic"], MOVIELOG)
    times = np.sort(_microseconds(ratings["time"].filter(is_logged)))
    not_logged, wanted = len(ratings) - len(times), stage.deps.settings.min_new_ratings
    stored = [key.removesuffix(f"/{MANIFEST}") for key in stage.deps.objects.keys("matrices/") if MANIFEST in key]
    matrices = sorted(map(stage.deps.artifacts.manifest, stored), key=lambda matrix: matrix.metrics["n_ratings"])
    return {
        matrix.id: int(times[before.metrics["n_ratings"] - not_logged + wanted - 1])
        for before, matrix in pairwise(matrices)
    }


def _committed(stage: Stage) -> dict[int, int]:
    """Return when each version of the lake was committed."""
    settings = stage.deps.settings
    options = delta_options(settings.s3_endpoint, stage.environment)
    history = DeltaTable(f"s3://{settings.bucket}/{keys.LAKE}", storage_options=options).history()
    return {commit["version"]: commit["timestamp"] * 1000 for commit in history}


def _served(stage: Stage) -> dict[str, int]:
    """Return when each model of the service served its first list."""
    lists = stage.deps.lake.read("served", ["model", "time"])
    models, times = lists["model"].to_pylist(), _microseconds(lists["time"])
    order = np.argsort(times)[::-1].tolist()
    return {models[row].removeprefix("svd@"): int(times[row]) for row in order}


def _moment(manifest: Manifest) -> int:
    return round(datetime.fromisoformat(manifest.created_at).timestamp() * 1e6)


def _microseconds(times: pa.ChunkedArray) -> NDArray[np.int64]:
    found: NDArray[np.int64] = times.cast(pa.int64()).to_numpy()
    return found

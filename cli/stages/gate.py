"""Whether a model that was made here may take the place of the one that is registered as live."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from cli.stages.models import load_matrix, load_model
from functions.evaluate_offline import core
from infra.provenance import tools
from infra.provenance.registry import STAGE, has_live
from shared.errors import Corrupt
from shared.events import Algorithm
from shared.model import FACTORS, FactorModel


class Word(NamedTuple):
    """Whether a model is accepted, and why."""

    accepted: bool
    reason: str


def gate(model: Path, matrix: Path, standing: FactorModel | None, margin: float) -> Word:
    """Measure a model and the standing one on the same ratings, and compare. Raises: BadInput."""
    split = load_matrix(matrix)[1]
    report = core.evaluate(load_model(model), split)
    return Word(*core.gate(report, core.rmse_on(standing, split.validation) if standing else None, margin))


def live(algorithm: Algorithm, repository: str, environment: Mapping[str, str] = os.environ) -> FactorModel | None:
    """Return the model that is registered as live, None if none is yet. Raises: NotReady, Corrupt."""
    if not has_live(algorithm, repository):
        return None
    endpoint = environment.get("S3_ENDPOINT")
    place = ["--remote-config", f"endpointurl={endpoint}"] if endpoint else []
    with tempfile.TemporaryDirectory(prefix="marquee-gate-") as name:
        wanted = ("artifacts", "get", repository, algorithm, "--stage", STAGE, "--out", FACTORS)
        tools.run("dvc", *wanted, *place, cwd=Path(name), environment=environment)
        try:
            return FactorModel.from_files({FACTORS: (Path(name) / FACTORS).read_bytes()})
        except Corrupt as error:
            raise Corrupt(f"{algorithm}#{STAGE} of {repository}: {error}") from error

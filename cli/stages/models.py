"""The stages that fit a model and measure it."""

import csv
import io
import platform
from pathlib import Path
from typing import Any

from functions.evaluate_offline import core as evaluation
from functions.train import core as training
from shared import keys
from shared.adapters.files import DirectoryStore
from shared.adapters.yaml_file import read_yaml
from shared.artifacts import ArtifactStore, Manifest, dumps, libraries
from shared.errors import BadInput, Corrupt, NotFound
from shared.events import Algorithm
from shared.matrix import Split
from shared.model import FACTORS, FactorModel


def train(algorithm: Algorithm, matrix: Path, params: Path, seed: int, n_threads: int, out: Path) -> Manifest:
    """Fit a model to a matrix, from nothing, and store it, the same bytes for the same arguments. Raises: BadInput.

    Its manifest has the matrix's time and tells no seconds.
    """
    story, split = load_matrix(matrix)
    chosen = training.parameters(read_yaml(params))
    if algorithm not in chosen:
        raise BadInput(f"{params}: no parameters for {algorithm}")
    order = training.Order(algorithm, chosen[algorithm], seed, n_threads)
    model = training.fit(split.train, algorithm, order.parameters, seed, n_threads=n_threads)
    manifest = Manifest(
        kind="model",
        id=training.model_version(split.matrix_id, order, libraries()),
        created_at=story.created_at,
        made_from=keys.matrix(split.matrix_id),
        python=platform.python_version(),
        libraries=libraries(),
        parameters=order.as_dict(),
        revision=training.REVISION,
        lake_version=story.lake_version,
        offsets=story.offsets,
        metrics={"n_ratings": split.train.n_ratings},
    )
    return ArtifactStore(DirectoryStore(out)).put(".", model.to_files(), manifest)


def evaluate(model: Path, matrix: Path, metrics: Path, groups: Path) -> dict[str, Any]:
    """Measure a model on the newest ratings, which it has not seen, and write what was found, no seconds among it.

    `groups` gets the errors by how many ratings of a user were trained on, as CSV for a plot. Raises: BadInput.
    """
    report = evaluation.evaluate(load_model(model), load_matrix(matrix)[1])
    metrics.parent.mkdir(parents=True, exist_ok=True)
    metrics.write_bytes(dumps(report) + b"\n")
    table = io.StringIO()
    rows = csv.DictWriter(table, ["group", "n", "rmse", "mae"], lineterminator="\n")
    rows.writeheader()
    rows.writerows({"group": name, **errors} for name, errors in report["groups"].items())
    groups.write_text(table.getvalue())
    return report


def load_matrix(folder: Path) -> tuple[Manifest, Split]:
    """Return a matrix, every file checked, and its story. Raises: BadInput."""
    try:
        artifact = ArtifactStore(DirectoryStore(folder)).get(".")
        return artifact.manifest, Split.from_files(artifact.manifest.id, artifact.files)
    except (Corrupt, NotFound) as error:
        raise BadInput(f"{folder}: {error}; `make preprocess` makes a matrix") from error


def load_model(folder: Path) -> FactorModel:
    """Return the model of a folder, its file checked by its manifest. Raises: BadInput."""
    try:
        return FactorModel.from_files(ArtifactStore(DirectoryStore(folder)).get(".", [FACTORS]).files)
    except (Corrupt, NotFound) as error:
        raise BadInput(f"{folder}: {error}; `make retrain` makes a model") from error

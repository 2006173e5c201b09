"""Make a matrix and a model again, with the code of the commit that made them: `python again.py FOLDER`.

It is run with PYTHONPATH on a checkout of that commit, so everything it imports is that commit's, and it uses as little
of it as it can. FOLDER holds `order.json`, `matrix/` and perhaps `base/`; it gets `made/matrix/` and `made/model/`.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from functions.build_matrix import core, gather
from functions.build_matrix.leave_out import without
from functions.train import timed
from functions.train.core import Order, parameters
from shared import bootstrap, forgotten
from shared.matrix import Split
from shared.model import FactorModel

Files = Mapping[str, bytes]


def matrix(lake_version: int, validation_fraction: float) -> Files:
    """Return the files of the matrix of a version of the lake."""
    deps = bootstrap.build("reproduce", os.environ, writes=False)
    left_out = forgotten.read(deps.objects)
    ratings = gather.ratings(deps.lake.scan("rating", gather.COLUMNS, lake_version))
    watches = gather.watches(deps.lake.scan("watch", gather.WATCH_COLUMNS, lake_version))
    theirs = left_out.among({*ratings.users, *watches.users})
    return core.files(without(ratings, theirs), validation_fraction, without(watches, theirs))[1]


def model(matrix_id: str, files: Files, told: dict[str, Any], base: Files) -> Files:
    """Return the files of the model that was trained on a matrix."""
    algorithm, order = told["algorithm"], {name: told[name] for name in ("algorithm", "seed", "n_threads", "engine")}
    chosen = {name: value for name, value in told.items() if name not in order}
    split = Split.from_files(matrix_id, files)
    warm = FactorModel.from_files(base) if base else None
    found, _ = timed.fit(split.train, Order(parameters=parameters({algorithm: chosen})[algorithm], **order), warm)
    return found.to_files()


def read(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder, none if there is no such folder."""
    return {path.name: path.read_bytes() for path in folder.glob("*")}


def write(folder: Path, files: Files) -> None:
    """Store files in a folder that is made for them."""
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def main(folder: Path) -> None:
    """Make what the order says."""
    order = json.loads((folder / "order.json").read_text())
    if order["lake_version"] is not None:
        write(folder / "made/matrix", matrix(order["lake_version"], order["validation_fraction"]))
    made = model(order["matrix_id"], read(folder / "matrix"), order["parameters"], read(folder / "base"))
    write(folder / "made/model", made)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Read what made a model, make it again, and say what is the same."""

import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.reproduce import again
from cli.reproduce.code import checkout, commit
from cli.reproduce.compare import differences
from functions.train import timed
from shared import keys
from shared.artifacts import Artifact, Manifest, libraries
from shared.bootstrap import Deps
from shared.errors import BadInput, Corrupt, NotFound
from shared.events import Algorithm
from shared.provenance import lake_left
from shared.story import Found, LakeLeft

_LEVELS: Final = ("x86-64", "generic")
"""Targets that many processors have, as in images: they are the same wherever they run."""

OnStep = Callable[[str], object]


@dataclass(frozen=True)
class Reproduced:
    """What came of it: for each file of the model, and of its matrix, all that differs, nothing where bytes are equal.

    `matrix` is None if the lake has no longer what it was made from. `notes` are what may make a difference.
    """

    model: Mapping[str, list[str]]
    matrix: Mapping[str, list[str]] | None
    notes: list[str]

    @property
    def equal(self) -> bool:
        """Whether all bytes that could be compared are equal."""
        return not any([*self.model.values(), *(self.matrix or {}).values()])


def reproduce(
    algorithm: Algorithm, version: str, repository: Path, deps: Deps, environment: Mapping[str, str], on_step: OnStep
) -> Reproduced:
    """Make a stored model again, from its own commit, data, parameters, seed, threads and base.

    Raises: BadInput if it cannot be: it is not there or damaged, its commit is not here, or that code fails; NotReady.
    """
    model = _whole(keys.model(algorithm, version), deps)
    matrix = _whole(str(model.manifest.made_from), deps)
    name, dirty = commit(model.manifest.git_commit, repository)
    base = _whole(keys.model(algorithm, model.manifest.warmed_from), deps) if model.manifest.warmed_from else None
    lake_version = matrix.manifest.lake_version
    can_read = lake_version is not None and _is_whole(lake_left(deps.lake, deps.objects, lake_version))
    with tempfile.TemporaryDirectory(prefix="marquee-reproduce-") as home:
        folder = Path(home)
        order = {
            "matrix_id": matrix.manifest.id,
            "lake_version": lake_version if can_read else None,
            "validation_fraction": matrix.manifest.parameters.get("validation_fraction"),
            "parameters": model.manifest.parameters,
        }
        (folder / "order.json").write_text(json.dumps(order))
        again.write(folder / "matrix", matrix.files)
        if base:
            again.write(folder / "base", base.files)
        on_step(f"checking out {name[:12]}")
        with checkout(name, repository) as code:
            on_step(f"training {algorithm} again, by the code of {name[:12]}")
            _run(folder, code, environment, model.manifest)
        made_matrix = again.read(folder / "made/matrix") if can_read else None
        made_model = again.read(folder / "made/model")
    return Reproduced(
        differences(model.files, made_model),
        None if made_matrix is None else differences(matrix.files, made_matrix),
        list(_notes(model.manifest, matrix.manifest, dirty, can_read)),
    )


def _whole(prefix: str, deps: Deps) -> Artifact:
    try:
        return deps.artifacts.get(prefix)
    except NotFound as error:
        raise BadInput(f"{error} is not in the bucket") from None
    except Corrupt as error:
        raise BadInput(str(error)) from None


def _is_whole(lake: Found[LakeLeft]) -> bool:
    return not (lake.wrong or lake.gone)


def _run(folder: Path, code: Path, environment: Mapping[str, str], manifest: Manifest) -> None:
    told = {**environment, "PYTHONPATH": str(code), "OPENBLAS_NUM_THREADS": "1"}
    loops, blas = manifest.processor.get("loops", ""), manifest.processor.get("blas", "")
    if loops.startswith(_LEVELS):
        told |= {"NUMBA_CPU_NAME": loops, "NUMBA_CPU_FEATURES": ""}
    if blas.isalnum():  # what this processor lacks is not used all the same
        told["OPENBLAS_CORETYPE"] = blas
    for name in ("SIGNING_KEY_FILE", "VERIFY_KEY_FILE", "VERIFY_DECISIONS_FILE"):
        told.pop(name, None)  # checked here, and nothing that older code knows
    done = subprocess.run(
        [sys.executable, again.__file__, str(folder)], env=told, cwd=code, capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise BadInput(f"the code of that commit, with the libraries that are here, fails: {last}")


def _notes(model: Manifest, matrix: Manifest, dirty: bool, can_read: bool) -> Iterator[str]:
    if dirty:
        yield "the model was made by code that differed from its commit; what differed is not in git"
    if not can_read:
        version = matrix.lake_version
        yield f"the lake no longer has all that it held at version {version}; the stored matrix was used as it is"
    if model.erased or matrix.erased:
        yield "users were taken out of the model or its matrix since, who asked to be forgotten: it cannot be the same"
    here = {"python": platform.python_version(), **libraries(), "processor": timed.processor()["loops"]}
    loops = model.processor.get("loops", here["processor"])
    then = {"python": model.python, **model.libraries, **({} if loops.startswith(_LEVELS) else {"processor": loops})}
    for name in sorted(then.keys() & here.keys()):
        if then[name] != here[name]:
            yield f"{name} was {then[name]} then, and is {here[name]} here"

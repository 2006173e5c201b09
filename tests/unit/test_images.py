"""What the image of each kind of function holds, by pyproject.toml and the metadata of what is installed."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def requires(name: str, extra: str) -> list[str]:
    """Return what a distribution asks for; the project's own are read where they are written."""
    if name == "marquee":
        return [*PROJECT["dependencies"], *PROJECT["optional-dependencies"].get(extra, [])]
    return metadata.requires(name) or []


def held(name: str, extra: str, seen: set[tuple[str, str]]) -> set[str]:
    """Return the distributions that installing `name[extra]` brings."""
    if (name, extra) in seen:
        return set()
    seen.add((name, extra))
    names = {name}
    for text in requires(name, extra):
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            needed = re.sub(r"[-_.]+", "-", requirement.name).lower()
            for each in requirement.extras or {""}:
                names |= held(needed, each, seen)
    return names


TOOLS = {"pandas", "dvc", "typer", "supervisor", "pytest", "scikit-surprise"}
TRAINERS = {"numba", "scipy"}


@pytest.mark.parametrize(
    ("extra", "never"),
    [
        ("", TOOLS | TRAINERS | {"pyarrow", "numpy", "deltalake", "aiohttp"}),
        ("serving", TOOLS | TRAINERS | {"pyarrow", "numpy", "deltalake"}),
        ("columns", TOOLS | TRAINERS | {"numpy", "deltalake", "aiohttp"}),
        ("lake", TOOLS | TRAINERS | {"numpy", "aiohttp"}),
        ("scoring", TOOLS | TRAINERS | {"pyarrow", "aiohttp"}),
        ("measuring", TOOLS | TRAINERS | {"aiohttp"}),
        ("matrices", TOOLS | {"numba", "aiohttp"}),
        ("training", TOOLS | {"aiohttp"}),
        ("sources", TRAINERS | {"pyarrow", "numpy", "deltalake", "pandas", "supervisor", "pytest"}),
    ],
)
def test_an_image_holds_nothing_it_does_not_need(extra: str, never: set[str]) -> None:
    """A smaller image starts sooner and has less to patch."""
    assert held("marquee", extra, set()) & never == set()
    assert "boto3" in held("marquee", extra, set())


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("functions.rollout.main", ["numpy", "scipy", "pyarrow", "deltalake", "numba", "aiohttp", "typer", "yaml"]),
        ("functions.recommend.main", ["numpy", "scipy", "pyarrow", "deltalake", "numba", "typer", "yaml"]),
        ("functions.ingest.main", ["numpy", "scipy", "deltalake", "numba", "aiohttp", "typer", "yaml"]),
        ("functions.fold_lake.main", ["numpy", "scipy", "numba", "aiohttp", "typer", "yaml"]),
        ("shared.adapters.lake", ["numpy", "scipy", "numba", "aiohttp", "typer", "yaml"]),
        ("functions.score.main", ["scipy", "pyarrow", "numba", "aiohttp", "typer", "yaml"]),
        ("shared.adapters.commits", ["scipy", "pyarrow", "numpy"]),
        ("functions.evaluate_online.main", ["scipy", "numba", "surprise", "aiohttp", "typer", "yaml"]),
        ("functions.build_matrix.main", ["numba", "surprise", "aiohttp", "typer", "yaml"]),
        ("functions.evaluate_offline.main", ["numba", "surprise", "aiohttp", "typer", "yaml"]),
        ("functions.train.main", ["surprise", "aiohttp", "typer"]),
        ("functions.train.descent", ["surprise", "aiohttp", "typer"]),
        (
            "infra.local.event_source.__main__",
            ["numpy", "scipy", "pyarrow", "deltalake", "numba", "supervisor", "psutil"],
        ),
    ],
)
def test_a_process_needs_nothing_that_only_other_images_hold(module: str, absent: list[str]) -> None:
    """What moves users starts without numbers, lake or trainers; what evaluates them without trainers."""
    code = f"import sys; sys.modules.update(dict.fromkeys({absent})); import {module}"
    subprocess.run([sys.executable, "-c", code], check=True)

"""What the image of each kind of function would hold, by the metadata of what is installed."""

import re
import subprocess
import sys
from importlib import metadata

import pytest
from packaging.requirements import Requirement


def held(name: str, extra: str, seen: set[tuple[str, str]]) -> set[str]:
    """Return the distributions that installing `name[extra]` brings."""
    if (name, extra) in seen:
        return set()
    seen.add((name, extra))
    names = {name}
    for text in metadata.requires(name) or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            needed = re.sub(r"[-_.]+", "-", requirement.name).lower()
            for each in requirement.extras or {""}:
                names |= held(needed, each, seen)
    return names


@pytest.mark.parametrize(
    ("extra", "never"),
    [
        ("", {"numpy", "deltalake", "numba", "scikit-surprise", "pandas", "dvc", "typer", "supervisor"}),
        ("serving", {"numpy", "deltalake", "numba", "scikit-surprise", "pandas", "dvc", "typer", "supervisor"}),
        ("scoring", {"aiohttp", "numba", "scikit-surprise", "pandas", "dvc", "typer", "supervisor"}),
        ("training", {"pandas", "dvc", "typer", "supervisor", "pytest"}),
    ],
)
def test_an_image_holds_nothing_it_does_not_need(extra: str, never: set[str]) -> None:
    """A smaller image starts sooner and has less to patch."""
    assert held("marquee", extra, set()) & never == set()
    assert "boto3" in held("marquee", extra, set())


@pytest.mark.parametrize(
    ("function", "absent"),
    [
        ("rollout", ["numpy", "scipy", "deltalake", "numba", "aiohttp", "typer", "yaml"]),
        ("evaluate_online", ["scipy", "numba", "surprise", "aiohttp", "typer", "yaml"]),
    ],
)
def test_a_function_needs_nothing_that_only_other_images_hold(function: str, absent: list[str]) -> None:
    """What moves users starts without numbers, lake or trainers; what evaluates them without trainers."""
    code = f"import sys; sys.modules.update(dict.fromkeys({absent})); import functions.{function}.main"
    subprocess.run([sys.executable, "-c", code], check=True)

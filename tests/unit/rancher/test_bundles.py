import graphlib
import shutil
from pathlib import Path

import pytest

from infra.local.machine import ROOT
from tests.unit.rancher.bundles import GITREPO, RANCHER, bundles, compared, matches, objects

NAMES = sorted(bundles())
FILLED = [name for name in NAMES if not {"repo", "chart"} & bundles()[name].fleet.get("helm", {}).keys()]
"""The bundles whose objects are in git."""

FLEET_YAML = {"name", "defaultNamespace", "kustomize", "helm", "correctDrift", "diff", "dependsOn"}
HELM = {"repo", "chart", "version", "releaseName", "values", "takeOwnership"}
PATCH = {"apiVersion", "kind", "namespace", "name", "jsonPointers", "operations"}


LARGEST = 64 * 1024


def waits_for(bundle: str) -> list[str]:
    return [each["name"] for each in bundles()[bundle].fleet.get("dependsOn", [])]


def test_fleet_finds_every_bundle() -> None:
    """Each is listed once with a folder and options that are there, and no options are left over."""
    listed = [each.options for each in bundles().values()]
    assert len(listed) == len(GITREPO["spec"]["bundles"])
    assert {*RANCHER.rglob("fleet.yaml"), *(ROOT / "knative").rglob("fleet.yaml")} == set(listed)


@pytest.mark.parametrize("name", NAMES)
def test_options_have_known_fields_alone(name: str) -> None:
    """Fleet passes over a field that it does not know, and says nothing."""
    fleet = bundles()[name].fleet
    assert fleet.keys() <= FLEET_YAML
    assert fleet.get("helm", {}).keys() <= HELM
    assert all(each.keys() <= PATCH for each in compared(name))


def test_bundles_come_one_after_another() -> None:
    """What a bundle waits for is there, in no circle; operators come before what they are told, and Marquee last."""
    order = list(graphlib.TopologicalSorter({name: waits_for(name) for name in NAMES}).static_order())
    assert sorted(order) == NAMES
    assert "marquee-knative-operator" in waits_for("marquee-knative")
    assert "marquee-strimzi" in waits_for("marquee-kafka")
    assert "marquee-monitoring" in waits_for("marquee-monitors")
    assert {"marquee-knative", "marquee-kafka", "marquee-minio"} == set(waits_for("marquee"))


@pytest.mark.parametrize("name", FILLED)
def test_a_bundle_is_its_folder_and_little_else(name: str, tmp_path: Path) -> None:
    """Fleet takes all of it but what .fleetignore names, and keeps it in etcd, which takes a megabyte; none is code."""
    bundle = bundles()[name]
    ignored = bundle.base / ".fleetignore"
    lines = ignored.read_text().splitlines() if ignored.exists() else []
    without = shutil.ignore_patterns("__pycache__", *(line for line in lines if line and not line.startswith("#")))
    shutil.copytree(bundle.base, tmp_path / "base", ignore=without)
    assert bundle.objects(tmp_path / "base") == objects(name)
    files = [each for each in (tmp_path / "base").rglob("*") if each.is_file()]
    assert sum(each.stat().st_size for each in files) < LARGEST
    assert not [each for each in files if each.suffix in {".py", ".sh", ".xml", ".md"} or "Dockerfile" in each.name]


@pytest.mark.parametrize("name", FILLED)
def test_what_is_not_compared_exists(name: str) -> None:
    """Every comparePatch is about an object of its bundle."""
    for patch in compared(name):
        assert any(matches(patch, each) for each in objects(name)), patch


@pytest.mark.parametrize("name", NAMES)
def test_fields_are_left_out_one_by_one(name: str) -> None:
    """By pointers: of `operations` one that finds nothing undoes all others of its object, so they only say ignore."""
    for patch in compared(name):
        assert patch.get("operations", [{"op": "ignore"}]) == [{"op": "ignore"}]
        assert ("jsonPointers" in patch) != ("operations" in patch)


def test_nothing_is_ever_forced() -> None:
    """`force` replaces whole objects, and with them the traffic of the models."""
    assert "correctDrift" not in GITREPO["spec"]
    for bundle in bundles().values():
        assert not bundle.fleet.get("helm", {}).get("force", False)
        assert not bundle.fleet.get("correctDrift", {}).get("force", False)


def test_helm_patches_marquee_as_the_client() -> None:
    """Fleet 0.15 and later would apply on the server otherwise, and stop at the first field that rollout wrote."""
    assert bundles()["marquee"].fleet["helm"] == {"takeOwnership": True}

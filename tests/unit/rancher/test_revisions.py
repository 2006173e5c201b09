import copy

import pytest
import yaml

from infra import kustomize
from infra.rancher import revisions
from tests.unit.rancher.test_drift import SCORES


def score(name: str) -> revisions.Object:
    return next(each for each in kustomize.render(revisions.OVERLAY) if each["metadata"]["name"] == name)


def test_names_are_those_of_the_templates() -> None:
    """After a change of them `python -m infra.rancher.revisions` writes the file anew."""
    assert revisions.NAMES.read_text() == revisions.patches(kustomize.render(revisions.OVERLAY))


@pytest.mark.parametrize("name", SCORES)
def test_another_template_has_another_name(name: str) -> None:
    """And the same one the same, whatever else the Service says."""
    service = {**score(name), "spec": copy.deepcopy(score(name)["spec"])}
    assert revisions.name({**service, "metadata": {"name": name, "labels": {"a": "b"}}}) == revisions.name(service)
    service["spec"]["template"]["spec"]["containers"][0]["image"] = "another"
    assert revisions.name(service) != revisions.name(score(name))
    assert revisions.name(service).startswith(f"{name}-git-")


def test_the_models_alone_have_names() -> None:
    """Every other function gets its name from Knative, and its users at once."""
    assert [each["metadata"]["name"] for each in yaml.safe_load_all(revisions.NAMES.read_text())] == SCORES

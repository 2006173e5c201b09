import json
from unittest.mock import Mock

import pytest

from infra import go
from infra.cluster import modules
from infra.cluster.build import is_new_enough
from shared.errors import BadInput

KUBERNETES = {
    "Go": "1.23.0",
    "Replace": [
        {"Old": {"Path": "k8s.io/api"}, "New": {"Path": "./staging/src/k8s.io/api"}},
        {"Old": {"Path": "example.org/fork"}, "New": {"Path": "example.org/other", "Version": "v1.0.0"}},
    ],
}


def test_staging_modules_are_replaced_by_the_published_ones():
    """k8s.io/api of Kubernetes 1.32.0 is published as 0.32.0; other replacements are not ours to repeat."""
    text = modules.wrapper(KUBERNETES, "1.32.0")
    assert "require k8s.io/kubernetes v1.32.0\n" in text
    assert "\tk8s.io/api => k8s.io/api v0.32.0\n" in text
    assert "go 1.23.0\n" in text
    assert "fork" not in text


def test_a_module_is_built_with_what_it_requires():
    """The version comes from its own go.mod, without the letter v."""
    said = {
        "Module": {"Path": "knative.dev/serving"},
        "Require": [{"Path": "knative.dev/hack", "Version": "v1"}, {"Path": "knative.dev/pkg", "Version": "v0.1.2-x"}],
    }
    assert modules.required(said, "knative.dev/pkg") == "0.1.2-x"
    with pytest.raises(BadInput, match=r"knative\.dev/serving does not require knative\.dev/eventing"):
        modules.required(said, "knative.dev/eventing")


def test_a_folder_is_where_go_says(monkeypatch):
    """Go's own cache is asked, never guessed."""
    asked = []

    def run(command, **_):
        asked.append(command)
        return Mock(stdout=json.dumps({"Dir": "/there"}))

    monkeypatch.setattr(go.subprocess, "run", run)
    monkeypatch.setattr(go, "go", lambda: "go")
    assert str(modules.folder("knative.dev/serving", "0.48.0")) == "/there"
    assert asked == [["go", "mod", "download", "-json", "knative.dev/serving@v0.48.0"]]


@pytest.mark.parametrize(
    ("version", "enough"),
    [("go1.21.0\n", True), ("go1.26.8", True), ("go2.0", True), ("go1.19.8", False), ("devel", False), ("", False)],
)
def test_go_must_fetch_itself(version, enough):
    """Go 1.21 was the first that gets the toolchain which a module asks for; Debian 12 has 1.19."""
    assert is_new_enough(version) is enough

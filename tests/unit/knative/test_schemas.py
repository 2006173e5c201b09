import copy
from typing import Any

import pytest

from infra import schemas
from infra.go import module
from shared.errors import BadInput, NotReady
from tests.unit.knative import eventing
from tests.unit.knative.manifests import KUBERNETES, OVERLAYS, SERVING, Object, known, overlay, rendered, services

FOLDERS = [*(f"overlays/{name}" for name in OVERLAYS), "base/config"]


def problems(document: Object) -> list[str]:
    return eventing.check(document) if document["kind"] in eventing.KINDS else known().check(document)


def wrong(document: Object, path: str, value: Any) -> Object:
    """Return a copy with one thing changed; a path is keys and indices with slashes between, `~` a slash in a key."""
    *way, last = (each.replace("~", "/") for each in path.split("/"))
    changed = at = copy.deepcopy(document)
    for each in way:
        at = at[int(each)] if isinstance(at, list) else at.setdefault(each, {})
    at[last] = value
    return changed


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_cluster_would_take_every_manifest(folder: str) -> None:
    """No field that the API server would drop or refuse, by the schemas of the versions that are built here."""
    assert [problem for each in rendered(folder) for problem in problems(each)] == []


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("spec/template/spec/containerConcurency", 1, "containerConcurency"),
        ("spec/template/spec/timeoutSeconds", "600", "timeoutSeconds"),
        ("spec/template/spec/containers/0/securityContext/readOnlyRootFileSystem", True, "readOnlyRootFileSystem"),
        ("spec/template/spec/containers/0/readinessProbe/httpGet/pth", "/", "pth"),
        ("spec/template/metadata/annotations/autoscaling.knative.dev~min-scale", 2, "min-scale"),
        ("metadata/labels/networking.knative.dev~visibility", False, "visibility"),
        ("apiVersion", "serving.knative.dev/v2", "no schema"),
    ],
)
def test_a_slip_in_a_service_is_found(path: str, value: Any, said: str) -> None:
    """A misspelt field, a number for a text, a kind that is not there: each is named."""
    (problem,) = known().check(wrong(services("local")["train"], path, value))
    assert said in problem
    assert "train" in problem


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Role", "rules/0/resourceName", ["x"]),
        ("NetworkPolicy", "spec/podSelectors", {}),
        ("ConfigMap", "data/MIN_NEW_RATINGS", 20000),
        ("ServiceAccount", "automountServiceAccountToken", "false"),
        ("KafkaSource", "spec/delivery/retries", 3),
        ("KafkaSource", "spec/net/sasl/enabled", True),
        ("PingSource", "spec/sink/ref/kind", "Servic"),
        ("KafkaSink", "spec/topics", ["x"]),
    ],
)
def test_a_slip_elsewhere_is_found(kind: str, path: str, value: Any) -> None:
    """In Kubernetes' own kinds and in sources too."""
    document = next(each for each in overlay("rancher") if each["kind"] == kind)
    assert problems(document) == []
    assert problems(wrong(document, path, value))


def test_what_a_definition_leaves_open_is_open() -> None:
    """Content of any kind, maps, numbers or texts, nothing: as the API server reads a definition."""
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "any": {
                        "type": "object",
                        "properties": {"a": {"type": "string"}},
                        "x-kubernetes-preserve-unknown-fields": True,
                    },
                    "map": {"type": "object", "additionalProperties": {"type": "integer"}},
                    "port": {"x-kubernetes-int-or-string": True},
                    "none": {"type": "string", "nullable": True},
                },
            }
        },
    }
    versions = [{"name": "v1", "served": True, "schema": {"openAPIV3Schema": schema}}, {"name": "v0", "served": False}]
    definition = {"spec": {"group": "g.io", "names": {"kind": "Thing"}, "versions": versions}}
    found = schemas.of_definitions([definition])

    def said(**spec: Any) -> list[str]:
        return found.check({"apiVersion": "g.io/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": spec})

    assert said(any={"a": "b", "c": 1}, map={"x": 1}, port=1, none=None) == said(port="http") == []
    assert said(any={"a": 1})
    assert said(map={"x": "1"})
    assert said(port=True)
    assert said(other=1)
    assert found.check({"apiVersion": "g.io/v0", "kind": "Thing"}) == [
        "Thing None: there is no schema of g.io/v0 Thing"
    ]


def test_what_cannot_be_had_is_named() -> None:
    """A module that is not there, a file that it lacks, a machine without Go."""
    with pytest.raises(BadInput, match="no/such"):
        schemas.crds("knative.dev/serving", SERVING, "no/such/*.yaml")
    with pytest.raises(NotReady, match=r"v0\.0\.999"):
        module("knative.dev/serving", "v0.0.999")


def test_without_go_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is on the path."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BadInput, match=r"go\.dev/doc/install"):
        module("k8s.io/kubernetes", KUBERNETES)

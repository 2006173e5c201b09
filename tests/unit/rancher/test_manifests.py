import itertools
import re
from typing import Any

import pytest
from jsonschema_rs import Draft4Validator

from infra import schemas
from infra.accounts import Accounts
from infra.go import module
from infra.kafka import crds as strimzi
from infra.local.machine import ROOT
from tests.unit.rancher.bundles import GITREPO, RANCHER, Object, bundles, objects, read

KUBERNETES = "v1.32.0"
OPERATOR = "v0.42.2"
PROMETHEUS = "v0.85.0"
SERVING = "v0.48.0"
OURS = ["marquee-namespaces", "marquee-knative", "marquee-monitors", "marquee-registrar"]

PROXY = read(ROOT / "knative" / "base" / "config" / "deployment.yaml")["data"]

TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}


def closed(**properties: Any) -> Object:
    return {"type": "object", "additionalProperties": False, "properties": properties}


TEXT, BOUND = (
    {"type": "string"},
    {"enum": ["pods", "requestsCpu", "requestsMemory", "requestsStorage", "limitsCpu", "limitsMemory"]},
)
HEAD = {"apiVersion": TEXT, "kind": TEXT, "metadata": closed(name=TEXT, namespace=TEXT)}
GITREPO_SCHEMA = closed(
    **HEAD,
    spec=closed(
        repo=TEXT,
        branch=TEXT,
        pollingInterval=TEXT,
        targets={"type": "array", "items": closed(clusterSelector=closed(matchLabels=TEXTS))},
        bundles={"type": "array", "items": closed(base=TEXT, options=TEXT)},
    ),
)
"""The part of Fleet's schema that is used: no module has the whole of it."""

QUOTA = closed(limit=closed(**dict.fromkeys(BOUND["enum"], TEXT)))
PROJECT_SCHEMA = closed(
    **HEAD,
    spec=closed(
        clusterName=TEXT, displayName=TEXT, description=TEXT, resourceQuota=QUOTA, namespaceDefaultResourceQuota=QUOTA
    ),
)
"""The part of Rancher's schema that is used."""


def definitions() -> list[Object]:
    """Return those of the kinds that come with other systems."""
    operator = schemas.definitions("knative.dev/operator", OPERATOR, "config/crd/bases/*.yaml")
    files = "example/prometheus-operator-crd/*monitors.yaml"
    return operator + schemas.definitions("github.com/prometheus-operator/prometheus-operator", PROMETHEUS, files)


def known() -> schemas.Schemas:
    """Return the schemas."""
    return schemas.kubernetes(KUBERNETES) | schemas.of_definitions(definitions())


@pytest.mark.parametrize("bundle", OURS)
def test_a_cluster_would_take_every_manifest(bundle: str) -> None:
    """No field that the API server would drop or refuse. Kafka's, MinIO's and Marquee's are checked with those."""
    assert [problem for each in objects(bundle) for problem in known().check(each)] == []


def test_ranchers_own_cluster_would_take_its_manifests() -> None:
    """Of a GitRepo and a Project."""
    for schema, document in ((GITREPO_SCHEMA, GITREPO), (PROJECT_SCHEMA, read(RANCHER / "project.yaml"))):
        assert [error.message for error in Draft4Validator(schema).iter_errors(document)] == []


def test_the_operator_is_told_what_knative_is_told_without_one() -> None:
    """It writes the ConfigMaps that knative/base/config is for, and would undo every other writing."""
    (serving,) = (each for each in objects("marquee-knative") if each["kind"] == "KnativeServing")
    for file in ("observability", "deployment"):
        assert serving["spec"]["config"][file] == read(ROOT / "knative" / "base" / "config" / f"{file}.yaml")["data"]


def test_pods_are_read_at_ports_that_knative_gives_them() -> None:
    """A PodMonitor finds a port by its name in the pod, and Knative names them."""
    code = (module("knative.dev/serving", SERVING) / "pkg/apis/serving/v1/revision_helpers.go").read_text()
    monitors = {each["metadata"]["name"]: each["spec"]["podMetricsEndpoints"] for each in objects("marquee-monitors")}
    for endpoint in monitors["functions"]:
        assert f'PortName = "{endpoint["port"]}"' in code


def test_a_project_has_room_for_its_namespace() -> None:
    """And the namespace, as Rancher makes its share, for what Marquee's own quota lets it have."""
    spec = read(RANCHER / "project.yaml")["spec"]
    assert spec["resourceQuota"] == spec["namespaceDefaultResourceQuota"]
    (quota,) = (each["spec"]["hard"] for each in objects("marquee") if each["kind"] == "ResourceQuota")
    for name, bound in quota.items():
        first, _, rest = name.partition(".")
        assert amount(spec["resourceQuota"]["limit"][first + rest.capitalize()]) >= amount(bound)


def amount(text: str) -> float:
    """Return cores, bytes or a number."""
    number, unit = re.fullmatch(r"(\d+)([A-Za-z]*)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"": 1, "m": 1e-3, "Mi": 2**20, "Gi": 2**30}[unit]


def named(document: Any) -> set[str]:
    """Return the Secrets and the ConfigMap of Kafka's authority that a manifest wants to be there."""
    if isinstance(document, list):
        return set().union(*map(named, document))
    if not isinstance(document, dict):
        return set()
    own = {
        ref["name"]
        for key in ("secretRef", "secretKeyRef", "secret")
        if isinstance(ref := document.get(key), dict) and "name" in ref
    }
    return own.union(*map(named, document.values()))


SIZED = {"cpu", "memory"}


def containers(document: Object) -> dict[str, Object]:
    """Return what a manifest says of the resources of each container that comes of it, in the form of its kind."""
    name, spec = document["metadata"]["name"], document.get("spec", {})
    match document["kind"]:
        case "KafkaNodePool":
            return {name: spec.get("resources", {})}
        case "Kafka":
            assert spec.keys() == {"kafka", "entityOperator"}  # and of nothing else containers would come
            operators = spec["entityOperator"]
            return {each: operators[each].get("resources", {}) for each in ("topicOperator", "userOperator")}
    pod = spec.get("template", {}).get("spec", {})
    listed = [*pod.get("containers", []), *pod.get("initContainers", [])]
    return {f"{name}/{number}": each.get("resources", {}) for number, each in enumerate(listed)}


@pytest.mark.parametrize("bundle", ["marquee", "marquee-kafka", "marquee-minio"])
def test_every_container_says_what_it_may_have(bundle: str) -> None:
    """A project with a quota takes none without, and the default of the namespace comes only with the last bundle."""
    found = {name: sizes for each in objects(bundle) for name, sizes in containers(each).items()}
    assert found
    lacking = {
        name for name, sizes in found.items() for bound in ("requests", "limits") if sizes.get(bound, {}).keys() < SIZED
    }
    assert lacking == set()


def test_the_quota_has_room_for_both_stores_too() -> None:
    """All functions at their largest, each with its proxy, both models twice; three brokers, MinIO and its set-up."""
    (quota,) = (each["spec"]["hard"] for each in objects("marquee") if each["kind"] == "ResourceQuota")
    for bound, kind in itertools.product(("requests", "limits"), sorted(SIZED)):
        wanted = 0.0
        for each in (each for bundle in ("marquee", "marquee-kafka", "marquee-minio") for each in objects(bundle)):
            pods = each.get("spec", {}).get("replicas", 1)
            if each["apiVersion"].startswith("serving.knative.dev/"):
                scale = each["spec"]["template"]["metadata"]["annotations"]["autoscaling.knative.dev/max-scale"]
                pods = int(scale) * (2 if each["metadata"]["name"].startswith("score-") else 1)
                wanted += pods * amount(PROXY[f"queue-sidecar-{kind}-{bound.removesuffix('s')}"])
            wanted += pods * sum(amount(str(sizes[bound][kind])) for sizes in containers(each).values())
        assert wanted <= amount(quota[f"{bound}.{kind}"]), (bound, kind)


def test_kafka_is_checked_by_what_installs_it() -> None:
    """The operator's chart, and the definitions that the manifests are checked by, are of one version."""
    assert bundles()["marquee-strimzi"].fleet["helm"]["version"] == strimzi.version()


def test_every_secret_is_made_by_the_readme() -> None:
    """Each that a function, Kafka or MinIO asks for, by its exact name; and none is in git."""
    documents = [each for bundle in ("marquee", "marquee-kafka", "marquee-minio") for each in objects(bundle)]
    assert not [each for each in documents if each["kind"] == "Secret"]
    text = (RANCHER / "README.md").read_text()
    made = set(re.findall(r"create secret generic ([\w-]+)", text))
    assert "python -m infra.accounts | kubectl create -f -" in text
    made |= {each["metadata"]["name"] for each in Accounts().completed().manifests()}
    assert {name for each in documents for name in named(each)} <= made


def test_every_bundle_is_in_the_readme() -> None:
    """With the name by which Rancher shows it."""
    text = (RANCHER / "README.md").read_text()
    assert [name for name in bundles() if f"`{name}`" not in text] == []

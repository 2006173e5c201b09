"""Who may do what, and who may talk to whom."""

import pytest

from tests.unit.knative.manifests import ASK_KUBERNETES, OVERLAYS, SERVICES, Object, of_kind, overlay, pods


@pytest.mark.parametrize("which", OVERLAYS)
def test_two_functions_ask_kubernetes_and_one_changes_two_services(which: str) -> None:
    """Exactly what shared/adapters/knative.py asks, of exactly the Services that models answer from."""
    roles = {name: each["rules"] for name, each in of_kind(overlay(which), "Role").items()}
    scores = {
        "apiGroups": ["serving.knative.dev"],
        "resources": ["services"],
        "resourceNames": ["score-svd", "score-svdpp"],
    }
    revisions = {"apiGroups": ["serving.knative.dev"], "resources": ["revisions"], "verbs": ["get"]}
    assert roles == {
        "rollout": [{**scores, "verbs": ["get", "patch"]}, revisions],
        "recommend": [{**scores, "verbs": ["get"]}],
    }
    bindings = of_kind(overlay(which), "RoleBinding")
    assert set(bindings) == set(roles)
    for name, each in bindings.items():
        assert each["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        assert each["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": "marquee"}]
    assert not [each for each in overlay(which) if each["kind"].startswith("ClusterRole")]


def selected(policy: Object) -> set[str]:
    """Return the functions that a policy is about; the event source by its label."""
    selector = policy["spec"]["podSelector"]
    if not selector:
        return SERVICES | {"event-source"}
    if "matchLabels" in selector:
        return set(selector["matchLabels"].values())
    (only,) = selector["matchExpressions"]
    assert only["key"] == "serving.knative.dev/service"
    return set(only["values"]) if only["operator"] == "In" else SERVICES


@pytest.mark.parametrize("which", OVERLAYS)
def test_nothing_comes_in_or_goes_out_by_default(which: str) -> None:
    """What no other policy names is refused, both ways."""
    policy = of_kind(overlay(which), "NetworkPolicy")["nothing-else"]["spec"]
    assert policy == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.parametrize("which", OVERLAYS)
def test_a_function_reaches_what_it_has_keys_for(which: str) -> None:
    """Kafka with an account of it, the store with keys of it, Kubernetes with a token, models if it asks them."""
    policies = of_kind(overlay(which), "NetworkPolicy")
    told = {
        name: {
            each["secretRef"]["name"].split("-")[0] for each in spec["containers"][0]["envFrom"] if "secretRef" in each
        }
        for name, spec in pods(which).items()
        if name in SERVICES
    }
    assert selected(policies["kafka"]) == {name for name, kinds in told.items() if "kafka" in kinds}
    assert selected(policies["s3"]) == {name for name, kinds in told.items() if "s3" in kinds}
    assert selected(policies["kubernetes"]) == selected(policies["models"]) == ASK_KUBERNETES
    for name in ("kafka", "s3"):
        (rule,) = policies[name]["spec"]["egress"]
        assert rule["to"]
        assert len(rule["ports"]) == 1
    for policy in policies.values():
        assert all(rule["ports"] for rule in policy["spec"].get("egress", []))


@pytest.mark.parametrize("which", OVERLAYS)
def test_requests_come_by_knative_alone(which: str) -> None:
    """Gateway and activator; Prometheus reads metrics; nobody else comes in."""
    ingress = {
        name: {value for each in rule["from"] for value in each["namespaceSelector"]["matchExpressions"][0]["values"]}
        for name, policy in of_kind(overlay(which), "NetworkPolicy").items()
        for rule in policy["spec"].get("ingress", [])
    }
    assert ingress == {
        "from-knative": {"knative-serving", "kourier-system"},
        "from-monitoring": {"monitoring", "cattle-monitoring-system"},
    }


@pytest.mark.parametrize("which", OVERLAYS)
def test_models_are_asked_by_the_gateway_for_requests_from_within(which: str) -> None:
    """Its own manifests and Knative's operator put it into two namespaces; its port for others stays closed."""
    (rule,) = of_kind(overlay(which), "NetworkPolicy")["models"]["spec"]["egress"]
    gateways = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["knative-serving", "kourier-system"]}
    assert rule == {"to": [{"namespaceSelector": {"matchExpressions": [gateways]}}], "ports": [{"port": 8081}]}


def test_events_are_sent_by_that_gateway() -> None:
    """Of one machine, by the event source."""
    *_, rule = of_kind(overlay("local"), "NetworkPolicy")["event-source"]["spec"]["egress"]
    assert rule["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kourier-system"}}}]
    assert rule["ports"] == [{"port": 8081}]


def test_the_event_source_reaches_kafka_and_the_gateway() -> None:
    """And nothing else: no store, no Kubernetes."""
    kafka, _ = of_kind(overlay("local"), "NetworkPolicy")["event-source"]["spec"]["egress"]
    assert kafka == of_kind(overlay("local"), "NetworkPolicy")["kafka"]["spec"]["egress"][0]

"""What is claimed of every pod: each line of it, for each Service and Deployment of each overlay."""

import pytest

from tests.unit.knative.manifests import (
    ASK_KUBERNETES,
    OVERLAYS,
    RUNNING,
    SCORES,
    SERVICES,
    annotation,
    of_kind,
    overlay,
    pods,
    quantity,
    services,
)

ON_BY_DEFAULT = {
    "automountServiceAccountToken",
    "containerConcurrency",
    "containers",
    "responseStartTimeoutSeconds",
    "serviceAccountName",
    "timeoutSeconds",
    "volumes",
}
"""What Knative 1.21 takes of a pod without a feature flag, and we use."""


def test_every_function_is_a_service() -> None:
    """And only what stands in for Knative's sources is a Deployment, and only on one machine."""
    for which in OVERLAYS:
        assert set(services(which)) == SERVICES
    assert set(of_kind(overlay("local"), "Deployment")) == {"event-source"}
    assert set(of_kind(overlay("rancher"), "Deployment")) == set()


@pytest.mark.parametrize(("which", "name"), RUNNING)
def test_a_container_has_no_right_that_it_does_not_need(which: str, name: str) -> None:
    """Nobody, numeric; no escalation, no capability, the runtime's system calls; it writes to /tmp alone."""
    spec = pods(which)[name]
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    volumes = {each["name"]: each for each in spec["volumes"]}
    writable = [each for each in container["volumeMounts"] if not each.get("readOnly")]
    assert [each["mountPath"] for each in writable] == ["/tmp"]
    assert 0 < quantity(volumes[writable[0]["name"]]["emptyDir"]["sizeLimit"]) <= 2 * 2**30
    assert all("hostPath" not in each for each in volumes.values())


@pytest.mark.parametrize(("which", "name"), RUNNING)
def test_a_pod_is_somebody_and_has_a_token_only_if_it_asks_kubernetes(which: str, name: str) -> None:
    """Its own account, of the same name; the two `score` Services share one."""
    spec = pods(which)[name]
    account = "score" if name in SCORES else name
    assert spec["serviceAccountName"] == account
    assert spec.get("automountServiceAccountToken", True) == (name in ASK_KUBERNETES)
    found = of_kind(overlay(which), "ServiceAccount")[account]
    assert found.get("automountServiceAccountToken", True) == (name in ASK_KUBERNETES)


@pytest.mark.parametrize(("which", "name"), RUNNING)
def test_a_container_has_requests_and_limits(which: str, name: str) -> None:
    """Of cores and memory, requests not above limits; so that one function cannot starve the others."""
    spec = pods(which)[name]
    resources = spec["containers"][0]["resources"]
    for kind in ("cpu", "memory"):
        assert 0 < quantity(resources["requests"][kind]) <= quantity(resources["limits"][kind])


@pytest.mark.parametrize(("which", "name"), RUNNING)
def test_a_container_is_told_only_its_own_secrets(which: str, name: str) -> None:
    """Keys of the store for those who use it, an account of Kafka for those who publish: each its own."""
    spec = pods(which)[name]
    account = spec["serviceAccountName"]
    told = [each["secretRef"]["name"] for each in spec["containers"][0]["envFrom"] if "secretRef" in each]
    wanted = {"score": [f"s3-{account}"], "event-source": [f"kafka-{account}"]}
    assert told == wanted.get(account, [f"s3-{account}", f"kafka-{account}"])
    mounted = {each["mountPath"] for each in spec["containers"][0]["volumeMounts"]}
    assert ("/etc/kafka" in mounted) == (account != "score")


@pytest.mark.parametrize(("which", "name"), RUNNING)
def test_a_container_is_asked_how_it_does(which: str, name: str) -> None:
    """Whether it lives and whether it can work, on the port that it listens on; Knative fills it in only for some."""
    (container,) = pods(which)[name]["containers"]
    (port,) = container["ports"]
    assert port["containerPort"] == 8080
    asked = {probe: container[f"{probe}Probe"]["httpGet"] for probe in ("startup", "readiness", "liveness")}
    assert {each["port"] for each in asked.values()} <= {8080, port.get("name")}
    assert asked["readiness"]["path"] == "/health/readiness"
    assert asked["startup"]["path"] == asked["liveness"]["path"]
    assert asked["liveness"]["path"] == ("/metrics" if name == "event-source" else "/health/liveness")


@pytest.mark.parametrize("which", OVERLAYS)
def test_knative_takes_it_without_a_feature_flag(which: str) -> None:
    """All that a Service says of its pod is on by default, so config-features stays as it is."""
    for service in services(which).values():
        spec = service["spec"]["template"]["spec"]
        assert set(spec) <= ON_BY_DEFAULT
        assert all({"emptyDir", "configMap"} & set(volume) for volume in spec["volumes"])
        assert not any("valueFrom" in each for each in spec["containers"][0].get("env", []))


@pytest.mark.parametrize("which", OVERLAYS)
def test_the_namespace_admits_only_such_pods(which: str) -> None:
    """Pod security standard `restricted`, enforced."""
    labels = of_kind(overlay(which), "Namespace")["marquee"]["metadata"]["labels"]
    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")} == {"restricted"}


@pytest.mark.parametrize("which", OVERLAYS)
def test_only_the_front_can_be_asked_from_outside(which: str) -> None:
    """Every other Service is local to the cluster."""
    key = "networking.knative.dev/visibility"
    local = {name for name, each in services(which).items() if each["metadata"].get("labels", {}).get(key)}
    assert local == SERVICES - {"recommend"}


@pytest.mark.parametrize("which", OVERLAYS)
def test_training_has_as_many_threads_as_cores(which: str) -> None:
    """A process counts the cores of its node; its limit is what it gets."""
    spec = services(which)["train"]["spec"]["template"]["spec"]["containers"][0]
    threads = {each["name"]: each["value"] for each in spec["env"]}["TRAIN_THREADS"]
    assert float(threads) == quantity(spec["resources"]["limits"]["cpu"])


def test_all_of_it_fits_on_one_machine() -> None:
    """2 cores and 12 GiB, of which the control plane takes its part, also while both models have a canary as large."""
    proxy = "queue.sidecar.serving.knative.dev/{}-resource-request"
    total = {"cpu": 0.0, "memory": 0.0}
    for name, service in services("local").items():
        pods_of_it = max(1, int(annotation(service, "min-scale") or 0)) * (2 if name in SCORES else 1)
        template = service["spec"]["template"]
        for kind in total:
            own = template["spec"]["containers"][0]["resources"]["requests"][kind]
            beside = template["metadata"]["annotations"][proxy.format(kind)]
            total[kind] += pods_of_it * (quantity(own) + quantity(beside))
    deployment = of_kind(overlay("local"), "Deployment")["event-source"]["spec"]["template"]["spec"]
    for kind in total:
        total[kind] += quantity(deployment["containers"][0]["resources"]["requests"][kind])
    assert total["cpu"] <= 1.2
    assert total["memory"] <= 6 * 2**30


def test_the_quota_has_room_for_all_at_their_largest() -> None:
    """Every function at its max-scale, both models twice, and each pod's proxy, of the size in knative/base/config."""
    hard = of_kind(overlay("rancher"), "ResourceQuota")["marquee"]["spec"]["hard"]
    proxy = {
        "requests": {"cpu": "25m", "memory": "50Mi"},
        "limits": {"cpu": "1", "memory": "200Mi"},
    }
    for bound, sizes in proxy.items():
        for kind, beside in sizes.items():
            wanted = sum(
                int(annotation(each, "max-scale") or 0)
                * (2 if name in SCORES else 1)
                * (
                    quantity(each["spec"]["template"]["spec"]["containers"][0]["resources"][bound][kind])
                    + quantity(beside)
                )
                for name, each in services("rancher").items()
            )
            assert wanted <= quantity(hard[f"{bound}.{kind}"])

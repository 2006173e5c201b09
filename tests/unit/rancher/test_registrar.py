"""The registrar on a cluster: a job by the clock that reads stories of models, and pushes tags."""

import re
import subprocess
from typing import Any

import pytest

from infra.local.machine import BUCKET, ROOT
from infra.minio.policies import policies
from shared import keys
from shared.events import ALGORITHMS
from tests.unit.knative.manifests import overlay, quantity
from tests.unit.rancher.bundles import objects

DOCKERFILE = (ROOT / "infra/provenance/Dockerfile").read_text()


def only(kind: str) -> dict[str, Any]:
    (found,) = (each for each in objects("marquee-registrar") if each["kind"] == kind)
    return found


def pod() -> dict[str, Any]:
    spec: dict[str, Any] = only("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return spec


def told() -> dict[str, str]:
    return {each["name"]: each["value"] for each in pod()["containers"][0]["env"]}


def test_its_pod_is_one_that_the_namespace_admits() -> None:
    """All that the profile `restricted` asks for; nobody at Kubernetes; it writes to /tmp alone, within limits."""
    spec = pod()
    assert spec["serviceAccountName"] == only("ServiceAccount")["metadata"]["name"] == "registrar"
    assert spec["automountServiceAccountToken"] is only("ServiceAccount")["automountServiceAccountToken"] is False
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [each["mountPath"] for each in container["volumeMounts"]] == ["/tmp"]
    assert spec["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}]
    for kind in ("cpu", "memory"):
        assert (
            0 < quantity(container["resources"]["requests"][kind]) <= quantity(container["resources"]["limits"][kind])
        )
    assert "@sha256:" in container["image"]


def test_it_runs_alone_and_ends_before_the_next() -> None:
    """Two would be harmless and for nothing; what failed is made good a quarter of an hour later."""
    spec = only("CronJob")["spec"]
    assert (spec["schedule"], spec["concurrencyPolicy"]) == ("*/15 * * * *", "Forbid")
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] < 15 * 60
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0


def test_it_has_its_own_secrets_and_nobody_else_has_them() -> None:
    """The key of its account, and the password of git, which stands in no manifest."""
    (container,) = pod()["containers"]
    secrets = [each["secretRef"]["name"] for each in container["envFrom"]]
    assert secrets == ["s3-registrar", "registrar-git"]
    assert not any(name in str(overlay("rancher")) for name in secrets)
    assert not {"GIT_PASSWORD", "PROVENANCE_REPOSITORY", "AWS_SECRET_ACCESS_KEY"} & told().keys()


def test_it_is_told_where_the_bucket_is_as_functions_are() -> None:
    """The same settings, in which nothing is a setting that it does not know."""
    (settings,) = (each for each in overlay("rancher") if each["metadata"]["name"] == "marquee-settings")
    shared = {name: settings["data"][name] for name in ("BUCKET", "S3_ENDPOINT")}
    assert {name: value for name, value in told().items() if not name.startswith("GIT_")} == shared


@pytest.mark.parametrize("password", ["plain", "p w$x`id`'\"\\"])
def test_git_gets_the_password_from_the_environment(password: str) -> None:
    """Whatever is in it: by the very helper that the manifest sets."""
    environment = {**told(), "GIT_USERNAME": "ann", "GIT_PASSWORD": password, "PATH": "/usr/bin:/bin", "HOME": "/tmp"}
    asked = "protocol=https\nhost=git.example.com\n\n"
    done = subprocess.run(["git", "credential", "fill"], input=asked, env=environment, capture_output=True, text=True)
    assert f"username=ann\npassword={password}\n" in done.stdout


def test_it_reaches_the_bucket_and_git() -> None:
    """And names; nobody reaches it."""
    spec = only("NetworkPolicy")["spec"]
    assert (
        spec["podSelector"]["matchLabels"]
        == only("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    )
    assert (spec["policyTypes"], spec.get("ingress")) == (["Ingress", "Egress"], None)
    assert [each["port"] for rule in spec["egress"] for each in rule["ports"]] == [9000, 443, 53, 53]


def test_it_reads_stories_and_no_model() -> None:
    """Exactly what infra/provenance/registrar.py asks for, and it writes nothing."""
    statements = policies()["registrar"]["Statement"]
    assert {action for each in statements for action in each["Action"]} == {"s3:GetObject", "s3:ListBucket"}
    may = {name.removeprefix(f"arn:aws:s3:::{BUCKET}") for each in statements for name in each["Resource"]}
    manifests = {f"/{keys.models(each)}*/manifest.json" for each in ALGORITHMS}
    channels = {f"/{keys.channel(keys.score_service(each))}" for each in ALGORITHMS}
    assert may == manifests | channels | {""}


def test_its_image_has_what_it_imports_and_its_tools() -> None:
    """Locked lists that are there, and folders that are there; GTO is made beforehand, as it cannot be later."""
    copied = [path for line in re.findall(r"(?m)^COPY (.*)$", DOCKERFILE) for path in line.split()[:-1]]
    assert all((ROOT / path).exists() for path in copied)
    installed = re.findall(r"--require-hashes --requirement /build/(\S+)", DOCKERFILE)
    assert [f"infra/images/requirements/{name}" for name in installed] == copied[: len(installed)]
    assert "tools.installed()" in DOCKERFILE
    assert "MARQUEE_HOME=/tmp/" in DOCKERFILE

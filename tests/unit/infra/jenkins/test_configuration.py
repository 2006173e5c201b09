"""Jenkins' configuration agrees with the Jenkinsfile, with Kubernetes, and with what a release needs."""

import re
from typing import Any

import pytest
import yaml

from infra import kustomize, schemas
from infra.local.machine import ROOT

FOLDER = ROOT / "infra/jenkins"
KUBERNETES = "v1.34.0"
JENKINSFILE = (ROOT / "Jenkinsfile").read_text()
CONFIGURATION = yaml.safe_load((FOLDER / "jenkins.yaml").read_text())
PODS = {path.stem: yaml.safe_load(path.read_text()) for path in (FOLDER / "pods").glob("*.yaml")}
OBJECTS = kustomize.render(FOLDER)


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [each for each in OBJECTS if each["kind"] == kind]


def plugins() -> dict[str, str]:
    lines = [line for line in (FOLDER / "plugins.txt").read_text().splitlines() if not line.startswith("#")]
    return dict(line.split(":") for line in lines)


def test_kubernetes_takes_every_manifest_and_every_pod() -> None:
    """Each field is one that it knows."""
    known = schemas.kubernetes(KUBERNETES)
    pods = [each | {"metadata": {"name": name}} for name, each in PODS.items()]
    assert [problem for each in [*OBJECTS, *pods] for problem in known.check(each)] == []


def test_every_plugin_is_pinned() -> None:
    """To one version, and each once; all that the Jenkinsfile and the jobs say is a plugin's word."""
    assert all(re.fullmatch(r"[\w.]*\d[\w.]*", version) for version in plugins().values())
    words = {
        "recordCoverage": "coverage",
        "discoverGitReferenceBuild": "git-forensics",
        "junit": "junit",
        "slackSend": "slack",
        "credentials(": "credentials-binding",
        "gitUsernamePassword": "git",
        "timestamps": "timestamper",
        "multibranchPipelineJob": "job-dsl",
        "absolute(": "build-timeout",
    }
    written = JENKINSFILE + "".join(path.read_text() for path in (FOLDER / "jobs").glob("*.groovy"))
    assert {word for word in words if word in written} == words.keys()
    assert set(words.values()) | {"blueocean", "pipeline-graph-view", "kubernetes", "matrix-auth"} <= plugins().keys()


def test_every_label_is_a_pod() -> None:
    """An agent that is asked for is one that can be had, and the other way round."""
    (cloud,) = CONFIGURATION["jenkins"]["clouds"]
    templates = cloud["kubernetes"]["templates"]
    assert {each["label"] for each in templates} == PODS.keys()
    assert all(each["yaml"].endswith(f"/{each['label']}.yaml}}") for each in templates)
    assert set(re.findall(r"label '(.*?)'", JENKINSFILE)) == PODS.keys()
    held = {name for each in of_kind("ConfigMap") for name in each["data"]}
    assert {f"{name}.yaml" for name in PODS} <= held


def test_every_job_is_made() -> None:
    """A script that lies there is one that is run."""
    listed = {each["file"].rpartition("/")[2] for each in CONFIGURATION["jobs"] if "file" in each}
    assert listed == {path.name for path in (FOLDER / "jobs").glob("*.groovy")}
    held = {name for each in of_kind("ConfigMap") for name in each["data"]}
    assert listed <= held


def test_every_credential_and_every_setting_is_told_of() -> None:
    """Who installs it reads which Secrets to make."""
    readme = (FOLDER / "README.md").read_text()
    written = [JENKINSFILE, *(path.read_text() for path in FOLDER.glob("jobs/*.groovy"))]
    ids = {
        found for text in written for found in re.findall(r"'(marquee-(?:git|s3|registry|kafka|signing)[\w-]*)'", text)
    }
    ids.add(CONFIGURATION["unclassified"]["slackNotifier"]["tokenCredentialId"])
    assert {each for each in ids if f"`{each}`" not in readme} == set()
    settings = set(re.findall(r"\$\{([A-Z_0-9]+)\}", (FOLDER / "jenkins.yaml").read_text()))
    (controller,) = of_kind("StatefulSet")
    (container,) = controller["spec"]["template"]["spec"]["containers"]
    given = {each["name"] for each in container["env"]}
    assert {each for each in settings - given if f"`{each}`" not in readme} == set()


@pytest.mark.parametrize("name", ["jenkins", "marquee", "marquee-release"])
def test_a_pod_has_no_right_that_it_does_not_need(name: str) -> None:
    """All that the profile `restricted` asks for, and a file system that is read only."""
    spec = PODS[name]["spec"] if name in PODS else of_kind("StatefulSet")[0]["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"].keys() == {"requests", "limits"}


def test_images_are_built_by_a_root_who_is_nobody_on_the_node() -> None:
    """In a namespace of its own, the only one that is not restricted."""
    spec = PODS["marquee-images"]["spec"]
    assert spec["hostUsers"] is False
    (container,) = spec["containers"]
    assert "privileged" not in container["securityContext"]
    profiles = {
        each["metadata"]["name"]: each["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        for each in of_kind("Namespace")
    }
    assert profiles == {"jenkins": "restricted", "jenkins-images": "privileged"}
    (cloud,) = CONFIGURATION["jenkins"]["clouds"]
    places = {each["label"]: each.get("namespace") for each in cloud["kubernetes"]["templates"]}
    assert places == {"marquee": None, "marquee-images": "jenkins-images", "marquee-release": None}


def test_only_who_releases_may_ask_kubernetes() -> None:
    """What is tested may be anybody's code."""
    for name, pod in PODS.items():
        assert pod["spec"].get("automountServiceAccountToken", True) == (name == "marquee-release")


def test_who_releases_may_apply_the_overlay_and_nothing_else() -> None:
    """Every kind of it, in its namespace; a kind that is new there needs a line here."""
    overlay = kustomize.render(ROOT / "knative/overlays/rancher")
    needed = {(group(each), plural(each["kind"])) for each in overlay} - {("", "namespaces")}
    (role,) = (each for each in of_kind("Role") if each["metadata"]["name"] == "release")
    assert role["metadata"]["namespace"] == "marquee"
    may = {
        (g, r)
        for rule in role["rules"]
        for g in rule["apiGroups"]
        for r in rule["resources"]
        if "patch" in rule["verbs"]
    }
    assert may == needed
    assert not any("*" in rule["verbs"] or "delete" in rule["verbs"] for rule in role["rules"])


def group(each: dict[str, Any]) -> str:
    return str(each["apiVersion"]).rpartition("/")[0]


def plural(kind: str) -> str:
    return {"NetworkPolicy": "networkpolicies"}.get(kind, f"{kind.lower()}s")

"""Signatures on a cluster: a component that an overlay may add."""

from pathlib import Path

import pytest
import yaml

from infra import kustomize
from infra.local.machine import ROOT
from tests.unit.knative.manifests import SCORES, SERVICES, Object, of_kind

CHECKS = {*SCORES, "rollout", "train", "evaluate-offline", "evaluate-online"}


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Object]:
    folder: Path = tmp_path_factory.mktemp("overlay")
    base = Path("../" * len(folder.parts)) / ROOT.relative_to("/") / "knative/base"
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [str(base)],
        "components": [str(base / "signed")],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    return of_kind(kustomize.render(folder), "Service", "serving.knative.dev/")


def told(service: Object) -> dict[str, str]:
    (container,) = service["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container.get("env", [])}


def mounted(service: Object, path: str) -> Object:
    """Return the volume that holds a file."""
    spec = service["spec"]["template"]["spec"]
    (mount,) = (each for each in spec["containers"][0]["volumeMounts"] if path.startswith(f"{each['mountPath']}/"))
    assert mount["readOnly"]
    (volume,) = (each for each in spec["volumes"] if each["name"] == mount["name"])
    return dict(volume)


@pytest.mark.parametrize(
    ("signer", "secret"), [("train", "model-signing-key"), ("evaluate-online", "decision-signing-key")]
)
def test_who_signs_alone_has_its_key(services: dict[str, Object], signer: str, secret: str) -> None:
    """A server that is broken into cannot vouch for a model, nor can who judges models."""
    assert {name for name, each in services.items() if "SIGNING_KEY_FILE" in told(each)} == {"train", "evaluate-online"}
    volume = mounted(services[signer], told(services[signer])["SIGNING_KEY_FILE"])
    assert volume["secret"] == {"secretName": secret}
    assert secret not in str({name: each for name, each in services.items() if name != signer})


def test_who_follows_decisions_checks_them(services: dict[str, Object]) -> None:
    """By the keys of those who decide, which are not those of models; who decides checks what stands in its place."""
    following = {name for name, each in services.items() if "VERIFY_DECISIONS_FILE" in told(each)}
    assert following == {"rollout", "evaluate-online"}
    for name in following:
        volume = mounted(services[name], told(services[name])["VERIFY_DECISIONS_FILE"])
        assert volume["configMap"] == {"name": "decision-verify-key"}


def test_who_reads_models_checks_them(services: dict[str, Object]) -> None:
    """By the same public keys."""
    assert set(services) == SERVICES
    assert {name for name, each in services.items() if "VERIFY_KEY_FILE" in told(each)} == CHECKS
    for name in CHECKS:
        volume = mounted(services[name], told(services[name])["VERIFY_KEY_FILE"])
        assert volume["configMap"] == {"name": "model-verify-key"}

"""How nodes are set up. The flags are those of RKE2's and k3s's reference of what a server and an agent can be told."""

import re
from typing import Any

import pytest
import yaml

from tests.unit.rancher.bundles import RANCHER

NODE = {
    "node-name", "node-label", "node-taint", "node-ip", "node-external-ip", "kubelet-arg", "kube-proxy-arg",
    "private-registry", "protect-kernel-defaults", "selinux", "server", "token", "token-file", "data-dir", "debug",
}  # fmt: skip
SERVER = NODE | {
    "tls-san", "write-kubeconfig", "write-kubeconfig-mode", "cluster-cidr", "service-cidr", "cluster-dns", "disable",
    "kube-apiserver-arg", "kube-controller-manager-arg", "kube-scheduler-arg", "etcd-expose-metrics",
    "etcd-snapshot-schedule-cron", "etcd-snapshot-retention", "secrets-encryption-provider", "agent-token",
}  # fmt: skip
RKE2 = {"profile", "pod-security-admission-config-file"}
KNOWN = {
    "rke2/server/config.yaml": SERVER | RKE2 | {"ingress-controller", "enable-servicelb", "cni", "etcd-arg"},
    "rke2/agent/config.yaml": NODE | RKE2,
    "k3s/config.yaml": SERVER | {"secrets-encryption", "cluster-init", "flannel-backend", "disable-network-policy"},
}


def config(file: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((RANCHER / file).read_text())
    return found


@pytest.mark.parametrize("file", KNOWN)
def test_nodes_are_told_what_they_know(file: str) -> None:
    """A flag that is not known keeps a node from starting."""
    assert config(file).keys() <= KNOWN[file]


def test_only_kourier_is_a_way_in() -> None:
    """Traefik and nginx stay out: they would take the ports that Kourier's balancer needs."""
    assert config("rke2/server/config.yaml")["ingress-controller"] == "none"
    assert config("k3s/config.yaml")["disable"] == ["traefik"]


def test_nodes_are_hardened() -> None:
    """By the CIS profile on servers and agents, and with Secrets encrypted where etcd keeps them."""
    assert config("rke2/server/config.yaml")["profile"] == config("rke2/agent/config.yaml")["profile"] == "cis"
    assert "secrets-encryption-provider" in config("rke2/server/config.yaml")
    assert config("k3s/config.yaml")["secrets-encryption"] is True


@pytest.mark.parametrize("file", [*KNOWN, "rke2/registries.yaml"])
def test_no_secret_of_a_node_is_in_git(file: str) -> None:
    """Tokens are in files of the node, and passwords of registries nowhere."""
    assert not {"token", "agent-token"} & config(file).keys()
    assert not any("auth" in each for each in config(file).get("configs", {}).values())


def test_what_a_node_s_files_name_is_put_there_by_the_readme() -> None:
    """The authority of the registry, and what Longhorn attaches volumes by."""
    text = (RANCHER / "README.md").read_text()
    named = [each["tls"]["ca_file"] for each in config("rke2/registries.yaml")["configs"].values() if "tls" in each]
    assert named
    assert [file for file in named if not re.search(rf"^    install .* {file}\b", text, re.MULTILINE)] == []
    assert "open-iscsi" in text


def test_registries_say_what_containerd_reads() -> None:
    """Mirrors with endpoints and rewrites, and how each registry is reached."""
    registries = config("rke2/registries.yaml")
    assert registries.keys() <= {"mirrors", "configs"}
    assert all(each.keys() <= {"endpoint", "rewrite"} for each in registries["mirrors"].values())
    assert all(each.keys() <= {"auth", "tls"} for each in registries["configs"].values())

"""The processes of the node: their commands, and in which order they start. Pure."""

from typing import Final

from infra.cluster.machine import (
    ADDRESS,
    API_PORT,
    ETCD_PEER_PORT,
    ETCD_PORT,
    NODE,
    PODS,
    ROUTER_PORT,
    SERVICES,
    Cluster,
)
from infra.local.parts import Part

_ETCD: Final = f"http://127.0.0.1:{ETCD_PORT}"
_PEER: Final = f"http://127.0.0.1:{ETCD_PEER_PORT}"


POLICIES: Final = "policies"
"""The process that enforces NetworkPolicies."""


def components(cluster: Cluster) -> list[Part]:
    """Return every process.

    All listen on loopback or on the bridge, but for kube-router's health; `firewall.barrier` keeps others from them.
    """
    home, kubeconfig = cluster.home, f"--kubeconfig={cluster.kubeconfig}"
    return [
        Part("etcd", 0, _etcd(cluster), []),
        Part("containerd", 0, ["containerd", "--config", f"{home}/containerd.toml"], []),
        Part("apiserver", 1, _apiserver(cluster), [], seconds_to_stop=5),
        Part(
            "controller-manager",
            2,
            [
                f"{cluster.kubernetes}/kube-controller-manager",
                kubeconfig,
                "--bind-address=127.0.0.1",
                f"--service-account-private-key-file={cluster.pki}/accounts.key",
                f"--root-ca-file={cluster.pki}/ca.crt",
                "--use-service-account-credentials",
                "--leader-elect=false",
                f"--cluster-cidr={PODS}",
            ],
            [],
        ),
        Part(
            "scheduler",
            2,
            [f"{cluster.kubernetes}/kube-scheduler", kubeconfig, "--bind-address=127.0.0.1", "--leader-elect=false"],
            [],
        ),
        Part(
            "kubelet",
            2,
            [
                f"{cluster.kubernetes}/kubelet",
                f"--config={home}/kubelet.yaml",
                f"--kubeconfig={home}/node.conf",
                f"--hostname-override={NODE}",
                f"--node-ip={ADDRESS}",
                f"--root-dir={home}/kubelet",
            ],
            [],
        ),
        Part("proxy", 2, [f"{cluster.kubernetes}/kube-proxy", f"--config={home}/proxy.yaml"], []),
        Part(POLICIES, 3, _kube_router(cluster), []),
    ]


def _etcd(cluster: Cluster) -> list[str]:
    return [
        "etcd",
        f"--data-dir={cluster.home}/etcd",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        f"--listen-peer-urls={_PEER}",
        f"--initial-advertise-peer-urls={_PEER}",
        f"--initial-cluster=default={_PEER}",
    ]


def _apiserver(cluster: Cluster) -> list[str]:
    return [
        f"{cluster.kubernetes}/kube-apiserver",
        f"--etcd-servers={_ETCD}",
        f"--service-cluster-ip-range={SERVICES}",
        f"--bind-address={ADDRESS}",
        f"--advertise-address={ADDRESS}",
        f"--secure-port={API_PORT}",
        f"--tls-cert-file={cluster.pki}/apiserver.crt",
        f"--tls-private-key-file={cluster.pki}/apiserver.key",
        f"--client-ca-file={cluster.pki}/ca.crt",
        f"--service-account-key-file={cluster.pki}/accounts.crt",
        f"--service-account-signing-key-file={cluster.pki}/accounts.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--authorization-mode=Node,RBAC",
        f"--kubelet-client-certificate={cluster.pki}/admin.crt",
        f"--kubelet-client-key={cluster.pki}/admin.key",
        "--kubelet-preferred-address-types=InternalIP",  # no name server knows the node's name
        "--allow-privileged=true",
    ]


def _kube_router(cluster: Cluster) -> list[str]:
    return [
        f"{cluster.kube_router}/kube-router",
        f"--kubeconfig={cluster.kubeconfig}",
        f"--hostname-override={NODE}",
        "--run-firewall=true",
        "--run-router=false",
        "--run-service-proxy=false",
        f"--health-port={ROUTER_PORT}",
        f"--service-cluster-ip-range={SERVICES}",
        "--iptables-sync-period=1m",
    ]

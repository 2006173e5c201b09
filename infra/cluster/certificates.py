"""The certificates of the cluster's parts, of an authority of its own."""

from typing import Final

from infra.authority import Authority
from infra.cluster.machine import ADDRESS, API, NODE, Cluster

_ISSUED: Final = {
    "apiserver": ("/CN=kube-apiserver", ["DNS:kubernetes.default.svc", f"IP:{API}", f"IP:{ADDRESS}", "IP:127.0.0.1"]),
    "admin": ("/O=system:masters/CN=admin", ["DNS:admin"]),
    "node": (f"/O=system:nodes/CN=system:node:{NODE}", [f"DNS:{NODE}", f"IP:{ADDRESS}"]),
    "accounts": ("/CN=service-accounts", ["DNS:accounts"]),
}
"""Whose certificate it is, its subject, and its names. The key of `accounts` signs the tokens of service accounts."""


def issue(cluster: Cluster) -> None:
    """Make every certificate that is not there yet; keys are readable by root alone. Raises: BadInput, NotReady."""
    authority = Authority(cluster.pki, "marquee-cluster")
    for file, (subject, names) in _ISSUED.items():
        if not (cluster.pki / f"{file}.crt").exists():
            authority.issue(file, subject, names)

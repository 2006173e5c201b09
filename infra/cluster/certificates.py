"""The cluster's own authority, and the certificates that it issues, by openssl."""

import os
from pathlib import Path
from typing import Final

from infra.cluster.machine import ADDRESS, API, NODE, Cluster
from infra.cluster.shell import run

_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650")
_ISSUED: Final = {
    "apiserver": ("/CN=kube-apiserver", f"DNS:kubernetes.default.svc,IP:{API},IP:{ADDRESS},IP:127.0.0.1"),
    "admin": ("/O=system:masters/CN=admin", "DNS:admin"),
    "node": (f"/O=system:nodes/CN=system:node:{NODE}", f"DNS:{NODE},IP:{ADDRESS}"),
    "accounts": ("/CN=service-accounts", "DNS:accounts"),
}
"""Whose certificate it is, its subject, and its names. The key of `accounts` signs the tokens of service accounts."""


def issue(cluster: Cluster) -> None:
    """Make the authority and every certificate that is not there yet, readable by root alone. Raises: NotReady."""
    before = os.umask(0o077)
    try:
        cluster.pki.mkdir(parents=True, exist_ok=True)
        authority = cluster.pki / "ca"
        _make(authority, "/CN=marquee-cluster", "DNS:ca")
        for name, (subject, names) in _ISSUED.items():
            signed = ("-CA", f"{authority}.crt", "-CAkey", f"{authority}.key")
            usage = ("-addext", "basicConstraints=critical,CA:FALSE")
            _make(cluster.pki / name, subject, names, *signed, *usage)
    finally:
        os.umask(before)


def _make(where: Path, subject: str, names: str, *more: str) -> None:
    if where.with_suffix(".crt").exists():
        return
    out = ("-keyout", f"{where}.key", "-out", f"{where}.crt.part")
    run("openssl", "req", "-x509", *_KEY, "-subj", subject, "-addext", f"subjectAltName={names}", *more, *out)
    Path(f"{where}.crt.part").rename(f"{where}.crt")

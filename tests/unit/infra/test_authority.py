import stat
import subprocess
from pathlib import Path
from unittest.mock import Mock

import pytest

from infra import authority
from infra.authority import Authority
from shared.errors import BadInput, NotReady


def verified(by: Path, certificate: Path) -> bool:
    command = ["openssl", "verify", "-CAfile", str(by), str(certificate)]
    return subprocess.run(command, capture_output=True).returncode == 0


def test_whom_it_certifies_is_trusted_by_its_certificate_alone(tmp_path: Path) -> None:
    """For its names; nobody else reads a key, nor the folder."""
    ours, another = Authority(tmp_path / "ours"), Authority(tmp_path / "another")
    key, certificate = ours.issue("kafka", "/CN=kafka", ["DNS:kafka", "IP:127.0.0.1"])
    assert verified(ours.certificate, certificate)
    assert not verified(another.certificate, certificate)
    text = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-text"], capture_output=True, text=True)
    assert "DNS:kafka, IP Address:127.0.0.1" in text.stdout
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(ours.folder.stat().st_mode) == 0o700


def test_what_was_interrupted_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL that is killed leaves half of a certificate: it is made anew, and so is one whose key was replaced."""

    def killed(command: list[str], **_: object) -> Mock:
        for option in ("-keyout", "-out"):
            Path(command[command.index(option) + 1]).write_text("half")
        return Mock(returncode=-9, stderr="")

    ours = Authority(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(authority.subprocess, "run", killed)
        with pytest.raises(NotReady):
            _ = ours.certificate
    first = ours.issue("kafka", "/CN=kafka", ["DNS:kafka"])[1]
    assert verified(ours.certificate, first)
    assert {path.name for path in tmp_path.iterdir()} == {"ca.key", "ca.crt", "kafka.key", "kafka.crt"}


def test_without_openssl_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is on the path."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BadInput, match="openssl is not installed"):
        _ = Authority(tmp_path).certificate

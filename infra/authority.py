"""A certificate authority of one's own, for a store that runs on this machine, by OpenSSL 3."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.errors import NotReady

_DAYS: Final = "825"  # what clients accept at most


@dataclass(frozen=True)
class Authority:
    """An authority in a folder, made when it is first used."""

    folder: Path

    @property
    def certificate(self) -> Path:
        """What clients trust it by. Raises: NotReady."""
        path = self.folder / "ca.crt"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            _request(self.folder / "ca.key", path, "/CN=marquee")
        return path

    def issue(self, name: str, addresses: Sequence[str]) -> tuple[Path, Path]:
        """Return the files of a server's key and certificate, for a name and IP addresses. Raises: NotReady."""
        signed_by = ["-CA", str(self.certificate), "-CAkey", str(self.folder / "ca.key")]
        names = ",".join([f"DNS:{name}", *(f"IP:{each}" for each in addresses)])
        limits = ["-addext", f"subjectAltName={names}", "-addext", "basicConstraints=critical,CA:FALSE"]
        key, certificate = self.folder / f"{name}.key", self.folder / f"{name}.crt"
        _request(key, certificate, f"/CN={name}", *signed_by, *limits)
        return key, certificate


def _request(key: Path, certificate: Path, subject: str, *more: str) -> None:
    files = ["-keyout", str(key), "-out", str(certificate)]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", *files, "-days", _DAYS, "-subj", subject]
    done = subprocess.run([*command, *more], capture_output=True, text=True)
    if done.returncode:
        raise NotReady(f"OpenSSL makes no certificate for {subject}: {done.stderr[-1000:]}")

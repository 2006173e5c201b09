"""A certificate authority of one's own, for what runs on this machine, by OpenSSL 3."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.errors import BadInput, NotReady

_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")
_DAYS: Final = "825"  # what clients accept at most


@dataclass(frozen=True)
class Authority:
    """An authority in a folder that its user alone can read, made when it is first used.

    A certificate that is there is whole, and its key beside it: whatever was interrupted is made anew.
    """

    folder: Path
    name: str = "marquee"

    @property
    def certificate(self) -> Path:
        """What clients trust it by. Raises: BadInput without OpenSSL; NotReady."""
        path = self.folder / "ca.crt"
        if not path.exists():
            self._make("ca", f"/CN={self.name}")
        return path

    def issue(self, file: str, subject: str, names: Sequence[str]) -> tuple[Path, Path]:
        """Return the files of a new key and its certificate, for names such as DNS:kafka and IP:127.0.0.1.

        Raises: BadInput without OpenSSL; NotReady.
        """
        signed_by = ("-CA", str(self.certificate), "-CAkey", str(self.folder / "ca.key"))
        limits = ("-addext", f"subjectAltName={','.join(names)}", "-addext", "basicConstraints=critical,CA:FALSE")
        return self._make(file, subject, *signed_by, *limits)

    def _make(self, file: str, subject: str, *more: str) -> tuple[Path, Path]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key, certificate = self.folder / f"{file}.key", self.folder / f"{file}.crt"
        unfinished = [path.with_name(f"{path.name}.part") for path in (key, certificate)]
        files = ("-keyout", str(unfinished[0]), "-out", str(unfinished[1]))
        _openssl("req", "-x509", *_KEY, *files, "-days", _DAYS, "-subj", subject, *more)
        certificate.unlink(missing_ok=True)  # of another key, from here on
        for part, whole in zip(unfinished, (key, certificate), strict=True):
            part.rename(whole)
        return key, certificate


def _openssl(*arguments: str) -> None:
    try:
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
    except FileNotFoundError:
        raise BadInput("openssl is not installed; Debian's package has the same name") from None
    if done.returncode:
        raise NotReady(f"OpenSSL makes no certificate: {done.stderr[-1000:]}")

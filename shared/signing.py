"""Who vouches for a document: Ed25519 signatures (RFC 8032), by keys in the files that OpenSSL writes (RFC 8410).

openssl genpkey -algorithm ed25519 -out signing.pem
openssl pkey -in signing.pem -pubout -out verify.pem
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shared.errors import BadSettings, Corrupt

if TYPE_CHECKING:
    from nacl.signing import SigningKey, VerifyKey

_PEM: Final = re.compile(r"-----BEGIN ((?:PRIVATE|PUBLIC) KEY)-----\s+([A-Za-z0-9+/=\s]+?)\s+-----END \1-----")
_PRIVATE: Final = bytes.fromhex("302e020100300506032b657004220420")
_PUBLIC: Final = bytes.fromhex("302a300506032b6570032100")
_KEY_BYTES: Final = 32


@dataclass(frozen=True)
class Verifier:
    """Whom we trust: any of some public keys."""

    keys: "Sequence[VerifyKey]"

    @classmethod
    def from_pem(cls, text: str) -> "Verifier":
        """Read one public key or several, one after another. Raises: BadSettings if there is none, or another thing."""
        from nacl.signing import VerifyKey  # libsodium, loaded only where something is signed

        return cls([VerifyKey(raw) for raw in _raw(text, "PUBLIC KEY", _PUBLIC)])

    def check(self, message: bytes, signature: str) -> None:
        """Raise Corrupt unless one of the keys signed this message."""
        from nacl.exceptions import BadSignatureError

        try:
            signed = base64.b64decode(signature, validate=True)
        except ValueError:  # binascii.Error is one
            raise Corrupt("its signature is no base64") from None
        for key in self.keys:
            try:
                key.verify(message, signed)
            except (BadSignatureError, ValueError):  # ValueError: not 64 bytes
                continue
            return
        raise Corrupt("its signature is of none of the keys that are trusted here, or of another content")


@dataclass(frozen=True)
class Signer:
    """Who vouches, by a private key."""

    key: "SigningKey"

    @classmethod
    def from_pem(cls, text: str) -> "Signer":
        """Read a private key. Raises: BadSettings if there is not exactly one."""
        from nacl.signing import SigningKey

        found = _raw(text, "PRIVATE KEY", _PRIVATE)
        if len(found) > 1:
            raise BadSettings("more than one private key: nobody can tell which one shall sign")
        return cls(SigningKey(found[0]))

    @classmethod
    def new(cls) -> "Signer":
        """Return one with a key of its own, drawn by the operating system."""
        from nacl.signing import SigningKey

        return cls(SigningKey.generate())

    @property
    def verifier(self) -> Verifier:
        """Who trusts this one alone."""
        return Verifier([self.key.verify_key])

    @property
    def private_pem(self) -> str:
        """The private key as OpenSSL writes it."""
        return _pem("PRIVATE KEY", _PRIVATE + bytes(self.key))

    @property
    def public_pem(self) -> str:
        """The public key as OpenSSL writes it."""
        return _pem("PUBLIC KEY", _PUBLIC + bytes(self.key.verify_key))

    def sign(self, message: bytes) -> str:
        """Return the signature of a message, in base64; the same message has the same one."""
        return base64.b64encode(self.key.sign(message).signature).decode()


def _raw(text: str, kind: str, prefix: bytes) -> list[bytes]:
    """Return the 32 bytes of each key of a kind. Raises: BadSettings, which never shows them."""
    found = []
    for named, body in _PEM.findall(text):
        try:
            der = base64.b64decode("".join(body.split()), validate=True)
        except binascii.Error:
            der = b""
        if named != kind or not der.startswith(prefix) or len(der) != len(prefix) + _KEY_BYTES:
            raise BadSettings(f"a key that is no Ed25519 {kind.lower()} in PEM; `openssl genpkey -algorithm ed25519`")
        found.append(der[len(prefix) :])
    if not found:
        raise BadSettings(f"no {kind.lower()} in PEM; `openssl genpkey -algorithm ed25519` makes one")
    return found


def _pem(kind: str, der: bytes) -> str:
    return f"-----BEGIN {kind}-----\n{base64.b64encode(der).decode()}\n-----END {kind}-----\n"

import subprocess
from pathlib import Path

import pytest

from shared.errors import BadSettings, Corrupt
from shared.signing import Signer, Verifier

SIGNER, OTHER = Signer.new(), Signer.new()


def test_what_was_signed_is_known_by_its_signer() -> None:
    """By the public key as it stands in a file; the same message has the same signature."""
    verifier = Verifier.from_pem(SIGNER.public_pem)
    verifier.check(b"said", SIGNER.sign(b"said"))
    assert Signer.from_pem(SIGNER.private_pem).sign(b"said") == SIGNER.sign(b"said")


FORGED = {"another's": OTHER.sign(b"said"), "of another message": SIGNER.sign(b"other"), "none": ""}
NONSENSE = {"short": "AAAA", "no base64": "no base64", "no ASCII": "é"}


@pytest.mark.parametrize("signature", [*FORGED.values(), *NONSENSE.values()], ids=[*FORGED, *NONSENSE])
def test_anything_else_is_refused(signature: str) -> None:
    """Another's signature, one of another message, and what is none."""
    with pytest.raises(Corrupt, match="its signature"):
        SIGNER.verifier.check(b"said", signature)


def test_of_several_trusted_keys_any_will_do() -> None:
    """So that a key can be replaced: first the new one is trusted too, then it signs, then the old one goes."""
    both = Verifier.from_pem(OTHER.public_pem + SIGNER.public_pem)
    both.check(b"said", SIGNER.sign(b"said"))
    both.check(b"said", OTHER.sign(b"said"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        SIGNER.private_pem + OTHER.private_pem,
        SIGNER.public_pem,
        SIGNER.private_pem.replace("MC4C", "MC4D"),
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ],
)
def test_a_file_that_holds_no_key_or_several_is_refused_without_showing_it(text: str) -> None:
    """Nothing of a key is ever printed."""
    with pytest.raises(BadSettings) as caught:
        Signer.from_pem(text)
    assert SIGNER.private_pem.splitlines()[1] not in str(caught.value)
    assert SIGNER.private_pem.splitlines()[1] not in repr(SIGNER)


def test_keys_are_those_of_openssl(tmp_path: Path) -> None:
    """It reads ours, and we read its; the signature is the same."""
    key, message = tmp_path / "key.pem", tmp_path / "message"
    message.write_bytes(b"said")
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True, capture_output=True)
    public = subprocess.run(["openssl", "pkey", "-in", str(key), "-pubout"], check=True, capture_output=True).stdout
    signing = ["openssl", "pkeyutl", "-sign", "-inkey", str(key), "-rawin", "-in", str(message), "-out"]
    subprocess.run([*signing, str(tmp_path / "signature")], check=True, capture_output=True)
    signer = Signer.from_pem(key.read_text())
    assert signer.public_pem.encode() == public
    assert signer.key.sign(b"said").signature == (tmp_path / "signature").read_bytes()

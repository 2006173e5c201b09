"""Whether images are signed, by the tool that signs them: cosign (sigstore)."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from shared.errors import BadInput


def refuse_unsigned(images: Iterable[str], key: Path) -> None:
    """Raise BadInput unless every image goes by a digest, and cosign says that it is signed with this key."""
    for image in images:
        if "@sha256:" not in image:
            raise BadInput(f"{image} goes by a tag, which may name another image tomorrow: only a digest can be signed")
        try:
            done = subprocess.run(["cosign", "verify", "--key", str(key), image], capture_output=True, text=True)
        except FileNotFoundError:
            raise BadInput("cosign is not installed; it is what checks the signatures of images") from None
        if done.returncode:
            raise BadInput(f"{image}: {done.stderr.strip() or 'cosign does not say that it is signed'}")

"""What `kubectl apply -k` would send, as objects: by kustomize itself, a Go module that Go builds once and keeps."""

import subprocess
from pathlib import Path
from typing import Any, Final

import yaml

from infra.go import go
from shared.errors import BadInput

KUSTOMIZE: Final = "sigs.k8s.io/kustomize/kustomize/v5@v5.8.0"


def render(folder: Path) -> list[dict[str, Any]]:
    """Return the manifests of a kustomization. Raises: BadInput if there is no Go, or something is wrong with them."""
    done = subprocess.run([go(), "run", KUSTOMIZE, "build", str(folder)], capture_output=True, text=True)
    if done.returncode:
        raise BadInput(f"{folder} cannot be rendered: {done.stderr.strip()}")
    return [each for each in yaml.safe_load_all(done.stdout) if each]

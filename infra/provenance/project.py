"""What makes a commit of the registry a DVC project, so that `dvc artifacts get` finds a model by version or stage.

A model is not copied for it: the commit says where in the bucket it is, and of which bytes.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import yaml

from shared import keys
from shared.artifacts import Manifest
from shared.events import ALGORITHMS
from shared.model import FACTORS

_REMOTE: Final = "bucket"


class Place(NamedTuple):
    """Where the bucket is."""

    bucket: str
    endpoint: str


def files(place: Place) -> dict[str, bytes]:
    """Return the files of the project, the same for every model."""
    artifacts = {name: {"path": f"models/{name}/{FACTORS}", "type": "model"} for name in ALGORITHMS}
    config = (
        f"[core]\n    remote = {_REMOTE}\n"
        f"['remote \"{_REMOTE}\"']\n    url = s3://{place.bucket}\n    endpointurl = {place.endpoint}\n"
    )
    return {
        ".dvc/config": config.encode(),
        ".dvc/.gitignore": b"/config.local\n/tmp\n/cache\n",
        "dvc.yaml": _yaml({"artifacts": artifacts}),
    }


def model(algorithm: str, manifest: Manifest) -> dict[str, bytes]:
    """Return what says where a model's file is."""
    source = f"remote://{_REMOTE}/{keys.model(algorithm, manifest.id)}/{FACTORS}"
    imported: Mapping[str, Any] = {
        "frozen": True,
        "deps": [{"path": source, "size": manifest.files[FACTORS].size}],
        "outs": [{"path": FACTORS, "hash": "md5"}],
    }
    return {f"models/{algorithm}/{FACTORS}.dvc": _yaml(imported)}


def _yaml(document: Mapping[str, Any]) -> bytes:
    return yaml.safe_dump(document, sort_keys=False).encode()

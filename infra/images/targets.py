"""What there is to build: the one table of images and of the extra of pyproject.toml that each needs."""

from collections.abc import Iterable, Mapping
from typing import Final

from shared.errors import BadInput

PUSHED: Final = "pushed.json"
"""Where it stands, beside the archives, which digest a registry gave each image; `python -m infra.deploy` reads it."""

PLAIN: Final = "plain"
"""No extra: what every image holds; all others stand on it."""

TARGETS: Final[Mapping[str, str]] = {
    "rollout": "signing",
    "recommend": "serving",
    "event-source": "sources",
    "score": "scoring",
    "ingest": "columns",
    "fold-lake": "lake",
    "evaluate-online": "measuring",
    "build-matrix": "matrices",
    "evaluate-offline": "matrices",
    "train": "training",
}
"""Each image and its extra, the smallest first: the order in which they stand in the Dockerfile and are built."""

EXTRAS: Final = tuple(dict.fromkeys([PLAIN, *TARGETS.values()]))


def chosen(names: Iterable[str]) -> list[str]:
    """Return the targets of these names in the order of building, all if there are none. Raises: BadInput."""
    wanted = set(names)
    if unknown := sorted(wanted - TARGETS.keys()):
        raise BadInput(f"no image is called {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    return [name for name in TARGETS if not wanted or name in wanted]


def reference(target: str) -> str:
    """Return what an image is called on this machine; a cluster does not ask a registry for names of dev.local."""
    return f"dev.local/marquee/{target}:dev"

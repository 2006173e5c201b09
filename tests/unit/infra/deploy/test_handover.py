from collections.abc import Mapping
from pathlib import Path

import pytest

from infra.deploy.manifests import read_images
from infra.images.__main__ import LIST, note, one
from infra.images.archive import SBOM
from infra.images.facts import Facts
from infra.images.targets import TARGETS
from tests.unit.infra.images.docker_archive import layer, write

DIGEST = "sha256:" + "3" * 64
FACTS = Facts("0123456789abcdef", 7, "1.0", "unknown")


class Engine:
    """Builds images of a bill of materials alone."""

    base = ""

    def build(self, target: str, tag: str, arguments: Mapping[str, str], epoch: int) -> None:
        pass

    def save(self, tag: str, tar: Path) -> None:
        write(tar, [layer({SBOM: b"{}"})])

    def push(self, tag: str, destination: str) -> str:
        return DIGEST

    def layers(self, image: str) -> list[str]:
        return []


@pytest.mark.parametrize(
    ("registry", "wanted"),
    [("localhost:5000", f"localhost:5000/marquee/{{}}@{DIGEST}"), ("", "dev.local/marquee/{}:dev")],
)
def test_what_the_builder_writes_is_what_is_deployed(tmp_path: Path, registry: str, wanted: str) -> None:
    """Every image by its digest in the registry, or by the name that it is loaded under where there is none."""
    for target in TARGETS:
        note(tmp_path / LIST, target, one(Engine(), target, {}, FACTS, tmp_path, registry))
    assert read_images((tmp_path / LIST).read_text()) == {target: wanted.format(target) for target in TARGETS}

from pathlib import Path

import pytest

from infra.deploy.signatures import refuse_unsigned
from shared.errors import BadInput

GOOD = "registry.example/marquee/score@sha256:" + "0" * 64
BAD = "registry.example/marquee/train@sha256:" + "1" * 64


@pytest.fixture
def cosign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for cosign: it knows one image and one key."""
    tool = tmp_path / "cosign"
    tool.write_text(
        f'#!/bin/sh\n[ "$*" = "verify --key cosign.pub {GOOD}" ] || {{ echo "no matching signatures" >&2; exit 1; }}\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


def test_images_that_are_signed_may_be_deployed(cosign: None) -> None:
    """By the key that is trusted."""
    refuse_unsigned([GOOD], Path("cosign.pub"))


@pytest.mark.parametrize(
    ("image", "why"), [(BAD, "no matching signatures"), ("registry.example/marquee/score:7", "only a digest")]
)
def test_others_are_refused_by_name(image: str, why: str, cosign: None) -> None:
    """With cosign's own words."""
    with pytest.raises(BadInput, match=why):
        refuse_unsigned([GOOD, image], Path("cosign.pub"))
    with pytest.raises(BadInput, match="no matching"):
        refuse_unsigned([GOOD], Path("another.pub"))


def test_without_the_tool_nothing_is_taken_for_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for a check and cannot have it is told so."""
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(BadInput, match="not installed"):
        refuse_unsigned([GOOD], Path("cosign.pub"))

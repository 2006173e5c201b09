import re

import pytest

from infra.images.lock import REQUIREMENTS, commands
from infra.images.targets import EXTRAS, PLAIN
from infra.local.machine import ROOT
from tests.unit.test_images import held


def locked(path: str) -> dict[str, tuple[str, set[str]]]:
    """Return version and hashes of each library of a list."""
    text = re.sub(r"\\\n", " ", (ROOT / path).read_text())
    found = re.findall(r"(?m)^([a-z0-9-]+)(?:\[[^]]*\])?==(\S+)(.*)$", text)
    return {name: (version, set(re.findall(r"sha256:[0-9a-f]{64}", rest))) for name, version, rest in found}


ALL = locked("requirements.txt")


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_image_is_locked_like_everything(extra):
    """The same versions with the same hashes: what was tested is what runs."""
    libraries = locked(f"{REQUIREMENTS}/{extra}.txt")
    assert libraries.items() <= ALL.items()
    assert all(hashes for _, hashes in libraries.values())


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_list_is_exactly_what_its_extra_needs(extra):
    """By the metadata of what is installed; `make lock` writes it anew."""
    needed = held("marquee", "" if extra == PLAIN else extra, set()) - {"marquee"}
    assert locked(f"{REQUIREMENTS}/{extra}.txt").keys() == needed


def test_make_lock_writes_every_list():
    """Within requirements.txt, with hashes."""
    written = {each[-1]: each for each in commands()}
    assert set(written) == {f"{REQUIREMENTS}/{extra}.txt" for extra in (*EXTRAS, "tools")}
    assert all("--generate-hashes" in command for command in written.values())
    assert all("requirements.txt" in command for path, command in written.items() if "tools" not in path)

import subprocess
from pathlib import Path

import pytest

from infra.ci.clone import Clone
from shared.errors import BadInput

MAKEFILE = """
good:
\t@echo "to $(REGISTRY), home '$(MARQUEE_HOME)', bucket '$(BUCKET)'"
where:
\t@echo "models go to '$(PROVENANCE_REPOSITORY)'"
bad:
\t@exit 3
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "Makefile").write_text(MAKEFILE)
    who = ["-c", "user.name=ann", "-c", "user.email=ann@example.com"]
    for command in (["init"], ["add", "."], [*who, "commit", "-m", "all"]):
        subprocess.run(["git", "-C", str(folder), *command], check=True, capture_output=True)
    return folder


def test_a_clone_has_what_is_committed_and_is_told_only_what_is_its(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not where this shell's own machine is, and of a store only if it needs one."""
    monkeypatch.setenv("MARQUEE_HOME", "/elsewhere")
    monkeypatch.setenv("BUCKET", "of-a-site")
    (repository / "Makefile").write_text("changed since")
    clone = Clone.of(repository, tmp_path, {"REGISTRY": "127.0.0.1:5000"})
    assert clone.make("good", {}) == 0
    assert clone.log("good").read_text() == "to 127.0.0.1:5000, home '', bucket ''\n"
    assert clone.make("good", {"BUCKET": "mine"}) == 0
    assert clone.log("good").read_text() == "to 127.0.0.1:5000, home '', bucket 'mine'\n"
    assert clone.make("bad", {}) != 0
    assert clone.make("neither", {}) != 0


def test_what_a_clone_pushes_stays_with_it(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rehearsal registers no models, though this shell knows where the real ones are registered."""
    monkeypatch.setenv("PROVENANCE_REPOSITORY", "ssh://git.example.com/marquee.git")
    clone = Clone.of(repository, tmp_path, {})
    assert clone.make("where", {}) == 0
    assert clone.log("where").read_text() == "models go to ''\n"
    for command in (["tag", "svd@v1.0.0"], ["push", "--quiet", "origin", "svd@v1.0.0"]):
        subprocess.run(["git", "-C", str(clone.folder), *command], check=True)
    told = subprocess.run(["git", "-C", str(repository), "tag"], check=True, capture_output=True, text=True)
    assert told.stdout == ""


def test_a_folder_without_git_cannot_be_cloned(tmp_path: Path) -> None:
    """In git's own words."""
    with pytest.raises(BadInput, match="git clone"):
        Clone.of(tmp_path / "nothing", tmp_path, {})

import subprocess

import pytest

from infra.images.facts import Facts, public, read
from shared.errors import BadInput


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@example.org/marquee.git", "https://example.org/marquee.git"),
        ("https://example.org:8443/marquee", "https://example.org:8443/marquee"),
        ("git@example.org:marquee.git", "unknown"),
        ("/home/somebody/marquee", "unknown"),
        ("", "unknown"),
    ],
)
def test_an_image_tells_no_password_and_no_path(url, shown):
    """Of where its source is."""
    assert public(url) == shown


def test_an_image_was_made_when_its_commit_was():
    """In UTC, and not when somebody built it again."""
    assert Facts("abc", 0, "1", "unknown").arguments["CREATED"] == "1970-01-01T00:00:00Z"


def test_what_is_not_committed_shows(tmp_path):
    """An image of a changed folder does not pass for its commit's."""

    def git(*arguments):
        subprocess.run(
            ["git", "-C", tmp_path, "-c", "user.name=n", "-c", "user.email=e@example.org", *arguments],
            check=True,
            capture_output=True,
        )

    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2"\n')
    git("init")
    git("add", ".")
    git("commit", "-m", "m")
    clean = read(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.3"\n')
    assert read(tmp_path).commit == f"{clean.commit}-dirty"
    assert (clean.version, clean.source) == ("1.2", "unknown")


def test_a_folder_without_git_is_refused(tmp_path):
    """With what is missing."""
    with pytest.raises(BadInput, match="clone"):
        read(tmp_path)

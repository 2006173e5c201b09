import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.ci.age import age, newest, tags
from shared.errors import BadInput

NOW = datetime(2026, 11, 25, tzinfo=UTC)
LIMIT = timedelta(hours=60)
YOUNG, AGED = NOW - timedelta(hours=59), NOW - timedelta(hours=61)


def test_models_are_fresh_while_the_newest_of_each_algorithm_is_young() -> None:
    """One that is old, or was never registered, is reason enough."""
    assert age({"svd": YOUNG, "svdpp": YOUNG}, NOW, LIMIT) == "fresh"
    assert age({"svd": YOUNG, "svdpp": AGED}, NOW, LIMIT) == "old"
    assert age({"svd": YOUNG}, NOW, LIMIT) == "old"
    assert age({}, NOW, LIMIT) == "old"


def test_the_newest_tag_of_an_algorithm_counts() -> None:
    """By its moment, not its number; one algorithm's name is the beginning of the other's."""
    lines = ["svd@v1.0.0 200", "svd@v1.10.0 300", "svd@v1.9.0 100", "svdpp@v1.0.0 50", "svd#prod 900"]
    assert newest(lines) == {"svd": datetime.fromtimestamp(300, UTC), "svdpp": datetime.fromtimestamp(50, UTC)}


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """Return a repository in which two models are registered."""
    folder = tmp_path / "registry"
    git(tmp_path, "init", str(folder))
    git(folder, "commit", "--allow-empty", "-m", "a model")
    for name in ("svd@v1.0.0", "svdpp@v0.1.0", "v1"):
        git(folder, "tag", "-m", name, name)
    return folder


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=ann", "-c", "user.email=ann@example.com"]
    subprocess.run(["git", *who, "-C", str(folder), *arguments], check=True, capture_output=True)


def test_tags_are_read_from_git(registry: Path) -> None:
    """With their moment; other tags are not looked at."""
    found = newest(tags(registry))
    assert found.keys() == {"svd", "svdpp"}
    assert datetime.now(UTC) - found["svd"] < timedelta(minutes=5)


def test_models_may_be_registered_in_another_repository(registry: Path, tmp_path: Path) -> None:
    """As a build's checkout is gone with it."""
    checkout = tmp_path / "checkout"
    git(tmp_path, "init", str(checkout))
    assert tags(checkout) == []
    assert tags(checkout, str(registry)) == tags(registry)


def test_a_password_is_not_told(registry: Path) -> None:
    """Of a repository that cannot be reached."""
    with pytest.raises(BadInput) as told:
        tags(registry, "http://ann:secret@127.0.0.1:1/marquee.git")
    assert "secret" not in str(told.value)


def test_a_folder_without_git_has_no_age(tmp_path: Path) -> None:
    """It is told, not guessed."""
    with pytest.raises(BadInput, match="git"):
        tags(tmp_path)

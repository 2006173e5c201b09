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


def test_tags_are_read_from_git(tmp_path: Path) -> None:
    """With their moment; other tags are not looked at."""

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=ann", "-c", "user.email=ann@example.com"]
        subprocess.run(["git", *who, "-C", str(tmp_path), *arguments], check=True, capture_output=True)

    git("init")
    git("commit", "--allow-empty", "-m", "a model")
    for name in ("svd@v1.0.0", "svdpp@v0.1.0", "v1"):
        git("tag", "-m", name, name)
    found = newest(tags(tmp_path))
    assert found.keys() == {"svd", "svdpp"}
    assert datetime.now(UTC) - found["svd"] < timedelta(minutes=5)


def test_a_folder_without_git_has_no_age(tmp_path: Path) -> None:
    """It is told, not guessed."""
    with pytest.raises(BadInput, match="git"):
        tags(tmp_path)

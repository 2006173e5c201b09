import shutil

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say how to get what renders and checks manifests, where it is missing."""
    if shutil.which("go") is None:
        missing = pytest.mark.skip(reason="go is not installed, 1.24 or later: https://go.dev/doc/install says how")
        for item in items:
            if "tests/unit/knative" in item.path.as_posix():
                item.add_marker(missing)

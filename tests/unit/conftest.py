import shutil

import pytest

MANIFESTS = ("tests/unit/knative", "tests/unit/rancher", "tests/unit/infra/jenkins")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say how to get what renders and checks manifests, where it is missing."""
    if shutil.which("go") is None:
        missing = pytest.mark.skip(reason="go is not installed, 1.24 or later: https://go.dev/doc/install says how")
        for item in items:
            if any(folder in item.path.as_posix() for folder in MANIFESTS):
                item.add_marker(missing)

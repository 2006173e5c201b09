import pytest

from shared import bootstrap
from tests import fakes


@pytest.fixture
def deps(tmp_path, monkeypatch):
    """What the commands reach."""
    deps = fakes.deps(tmp_path)
    monkeypatch.setattr(bootstrap, "build", lambda *_, **__: deps)
    return deps

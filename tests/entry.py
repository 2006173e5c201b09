"""A function behind the real functions-framework, with its dependencies replaced."""

from pathlib import Path

import functions_framework.aio
import pytest
from starlette.testclient import TestClient

from shared import bootstrap

ROOT = Path(__file__).parents[1]


def client(function: str, deps: bootstrap.Deps, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """Return a client of the function's main.py, loaded as functions-framework loads it."""
    monkeypatch.setattr(bootstrap, "build", lambda *_, **__: deps)
    app = functions_framework.aio.create_asgi_app("main", str(ROOT / "functions" / function / "main.py"), "http")
    return TestClient(app, raise_server_exceptions=False)

"""What holds for all tests."""

import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from shared.adapters import follow

settings.register_profile("any machine", deadline=None)  # how long an example takes is no claim of any test
settings.load_profile("any machine")

_status: list[int] = []


@pytest.fixture(scope="module", autouse=True)
def nobody_follows_on() -> Iterator[None]:
    """Threads of the functions of one module's tests end with it, and log nothing into others' output."""
    yield
    follow.leave()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    _status.append(int(session.exitstatus or exitstatus))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Leave with the tests' own word: native threads of libraries may crash while Python takes itself apart."""
    if _status:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_status[-1])

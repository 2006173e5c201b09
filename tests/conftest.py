"""What holds for all tests."""

import os
import sys

import pytest
from hypothesis import settings

settings.register_profile("any machine", deadline=None)  # how long an example takes is no claim of any test
settings.load_profile("any machine")

_status: list[int] = []


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

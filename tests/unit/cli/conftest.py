import pytest

from cli import console


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """The command writes to a wide terminal, whatever the one is that the tests run in."""
    for terminal in (console.out, console.errors):
        monkeypatch.setattr(terminal, "width", 220)


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    """The command meets no Marquee that runs on this machine, and takes it that one does."""
    monkeypatch.setenv("MARQUEE_PORT_OFFSET", "44000")
    monkeypatch.setattr("cli.where.is_taken", lambda _: True)

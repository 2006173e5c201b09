from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from cli import drill_command
from cli.drill.acts import Act
from cli.main import app
from tests import fakes
from tests.unit.cli.drill.stage import FakeStage


@pytest.fixture
def drilled(tmp_path, monkeypatch):
    """Runs the command with some acts on a stage without a machine; returns its end, and what was started."""

    def run(*acts):
        events = []

        @contextmanager
        def running(stack, on_step):
            events.append("started")
            yield stack
            events.append("stopped")

        monkeypatch.setattr(drill_command, "running", running)
        monkeypatch.setattr(drill_command, "Stage", lambda *_: FakeStage(fakes.deps(tmp_path)))
        monkeypatch.setattr(drill_command, "ACTS", acts)
        done = CliRunner().invoke(app, ["drill", "--report", str(tmp_path / "page.html")])
        return done, events, (tmp_path / "page.html")

    return run


GOOD = Act("all is well", "nothing", lambda _: "")
BAD = Act("it is not", "something else", lambda _: "it was promoted")


def test_a_drill_that_goes_well_ends_with_status_0(drilled):
    """It says so, and where the page is."""
    done, events, page = drilled(GOOD, GOOD)
    assert done.exit_code == 0
    assert "Everything went as it should" in done.stdout
    assert str(page) in done.stdout.replace("\n", "")
    assert "all is well" in page.read_text()
    assert events == ["started", "stopped"]


def test_one_act_that_goes_wrong_is_status_1(drilled):
    """The acts after it are played all the same, and the page says which it was."""
    done, events, page = drilled(BAD, GOOD)
    assert done.exit_code == 1
    assert "1 of 2 acts went wrong" in done.stdout
    assert "WRONG" in done.stdout
    assert 'class="wrong"' in page.read_text()
    assert "all is well" in page.read_text()
    assert events == ["started", "stopped"]


def test_whatever_happens_the_machine_is_stopped(drilled):
    """An act that fails in a way that nobody thought of ends the drill, and leaves nothing running."""

    def break_down(_):
        raise RuntimeError("nobody thought of it")

    done, events, _ = drilled(Act("it breaks", "", break_down))
    assert isinstance(done.exception, RuntimeError)
    assert events == ["started", "stopped"]

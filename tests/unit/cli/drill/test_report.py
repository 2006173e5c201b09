from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from rich.console import Console

from cli.drill import report
from cli.drill.acts import Played
from cli.simulator.driver import Played as Visits
from cli.site import Answer
from tests.unit.cli.drill.stage import NOW, FakeStage, accepted, dead, decided, judged, ready

STARTED = datetime.fromtimestamp(NOW / 1e6, UTC)


@pytest.fixture
def log(tmp_path):
    """A model that is promoted, and one that never answers."""
    stage = FakeStage.live(tmp_path, accepted("m2"), ready, judged("promote"), accepted("m3"), ready, dead)
    while stage.steps:
        stage.go_on()
    return stage.state.log


@pytest.fixture
def acts(log):
    """One that went well, one in which nothing moved, and one that went wrong."""
    return [
        Played("a better <model>", "promoted", STARTED, 61.4, [each for each in log if each.model_version == "m2"]),
        Played("data go missing", "held", STARTED, 25.0),
        Played("it dies", "rolled back", STARTED, 120.0, [], "waited [red] for <an end>"),
    ]


def test_the_table_tells_each_act_and_how_it_went(acts):
    """Words that look like markup are words."""
    console = Console(width=200, record=True, file=SimpleNamespace(write=lambda _: None, flush=lambda: None))
    console.print(report.table(acts))
    better, missing, dies = [line for line in console.export_text().splitlines() if line.count("│") == 6]
    assert "a better <model>" in better
    assert "promoted: it is to promote" in better
    assert " ok " in better
    assert "nothing moved" in missing
    assert " WRONG " in dies
    assert "waited [red] for <an end>" in dies


def test_the_page_has_every_act_every_change_and_the_picture(tmp_path, acts, log):
    """Words are escaped, the picture is not; counts are those of the crowd."""
    visits = Visits()
    visits.count(Answer(200, "1,2", {}, 3.0), None)
    visits.count(Answer(503, "away", {}, 3.0), None)
    decisions = [decided("m2", "hold", 1, None), decided("m2", "promote", 2), decided("m3", "roll_back", 3)]
    report.write(tmp_path / "drill.html", acts, log, decisions, visits)
    page = (tmp_path / "drill.html").read_text()
    assert page.count('class="ok"') == 2
    assert page.count('class="wrong"') == 1
    assert "a better &lt;model&gt;" in page
    assert "waited [red] for &lt;an end&gt;" in page
    assert "<model>" not in page
    assert page.count("<svg") == page.count("</svg>") == 1
    assert "2 visits by users with planted tastes; 1 of them got a list" in page
    assert all(change.why in page for change in log)


def test_the_picture_has_the_bounds_of_each_canary_and_a_dot_for_each_verdict_that_has_an_estimate(acts, log):
    """Above, the canary's users over time, none of them in the end."""
    decisions = [decided("m2", "hold", 1, None), decided("m2", "promote", 2), decided("m3", "roll_back", 3)]
    above, below = report.draw(acts, log, decisions).axes
    weights = above.lines[0].get_ydata().tolist()
    assert max(weights) == 50
    assert weights[-1] == 0
    assert len(below.collections) == 2
    assert sum(len(line.get_xdata()) for line in below.lines if line.get_marker() == ".") == 2


def test_a_drill_that_failed_at_once_has_a_page_too(tmp_path, acts):
    """No change, no decision, no visit."""
    report.write(tmp_path / "drill.html", acts[2:], [], [], Visits())
    assert "<svg" in (tmp_path / "drill.html").read_text()

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.trace import graph
from shared import bootstrap, forgotten
from shared.answers import Asked
from shared.errors import BadInput
from tests.unit.shared.past import HOUR, START, bucket, line, provenance

TIME = START + 3 * HOUR // 2


@pytest.fixture
def deps(tmp_path, monkeypatch):
    deps = bucket(tmp_path)
    monkeypatch.setattr(bootstrap, "build", lambda *_, **__: deps)
    return deps


def run(*arguments, given=None):
    done = CliRunner().invoke(app, ["trace", *arguments], input=given)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_a_person_reads_it_all(deps):
    """Model, data, code, measures, and who put it live, each under what came from it."""
    done = run(line("15", TIME))
    assert done.exit_code == 0
    for words in (
        "svd@m2",
        "models/svd/m1",
        "matrices/x2",
        "offsets 0 to 2",
        "seed 7",
        "no worse for sure",
        "rmse: 0.9",
    ):
        assert words in done.output
    assert "commit cccc" in done.output


def test_a_machine_reads_it_too(deps):
    """One JSON object."""
    told = json.loads(run("--json", "--user", "15", "--at", "2025-11-25T12:30:00").stdout)
    assert told["note"] == ""
    assert told["stories"][0]["whole"] is True
    assert told["stories"][0]["things"][0]["facts"]["model"] == "svd@m2"


def test_a_line_may_come_from_a_pipe(deps):
    """As from `grep`."""
    assert "svd@m2" in run("-", given=f"{line('15', TIME)}\nanother\n").output


def test_what_is_wrong_is_named_and_the_status_is_1(deps):
    """All else is told."""
    deps.objects.put("models/svd/m1/factors.npz", b"other")
    done = run("r102")
    assert done.exit_code == 1
    assert "wrong: model models/svd/m1: models/svd/m1/factors.npz: not the bytes" in done.output
    assert "matrices/x2" in done.output


def test_an_answer_that_is_not_there_is_one_message(deps):
    """With what may be the reason."""
    done = run("nonsense")
    assert done.exit_code == 1
    (said,) = done.output.splitlines()
    assert said.startswith("wrong: no served list has the request id 'nonsense': it is no answer's X-Request-Id, or")
    for reason in ("yet to come in", "after 90 days", "because of a `forget`"):
        assert reason in said


def test_of_who_was_forgotten_a_line_says_so_and_a_request_id_that_it_may_be(deps):
    """Nothing that is stored ties a request to who is forgotten, so only who names the user can be told."""
    forgotten.remember(deps.objects, "99")
    done = run("--user", "99", "--at", "2025-11-20T10:00:00")
    assert (done.exit_code, done.output) == (0, "the user asked to be forgotten, and their rows were erased\n")
    assert run("r999").exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [[], ["r1", "--user", "15"], ["--user", "15"], ["--at", "2025-11-25"], ["--user", "15", "--at", "noon"], ["a,b"]],
)
def test_what_names_no_answer_is_refused(arguments, deps):
    """With what would."""
    with pytest.raises(BadInput):
        run(*arguments)


def test_the_graph_is_a_picture(deps, tmp_path):
    """Every thing is in it, and it is the same every time."""
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    assert run("r102", "--graph", str(first)).exit_code == 0
    run("r102", "--graph", str(second))
    text = " ".join(ET.parse(first).getroot().itertext())
    assert "m2" in text
    assert "warmed from" in text
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(("suffix", "begins"), [(".dot", "digraph"), (".mmd", "flowchart TD")])
def test_others_may_draw_it(suffix, begins, deps, tmp_path):
    """Graphviz, or whatever shows Markdown."""
    file = tmp_path / f"story{suffix}"
    run("r102", "--graph", str(file))
    assert file.read_text().startswith(begins)
    assert "matrices/x2" in file.read_text()


def test_another_form_is_refused(deps, tmp_path):
    """With those that there are."""
    with pytest.raises(BadInput, match=r"\.svg, \.dot, \.mmd"):
        run("r102", "--graph", str(tmp_path / "story.pdf"))


def test_things_stand_above_what_they_came_from_and_none_on_another(deps):
    """So that a picture can be read from top to bottom."""
    story = provenance(deps).stories(Asked(request_id="r103"))[0][0]
    at = graph.places(story)
    assert all(at[link.of][1] < at[link.origin][1] for link in story.links if link.origin in at)
    assert len(set(at.values())) == len(story.things)


def test_a_graph_that_cannot_be_written_is_said_so(deps):
    """With the place."""
    with pytest.raises(BadInput, match="nowhere"):
        run("r102", "--graph", str(Path("/nowhere/story.svg")))

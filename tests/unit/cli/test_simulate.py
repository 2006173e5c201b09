import itertools
import json

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.site import Answer
from shared.errors import BadInput, NotReady
from tests.unit.functions.recommend.score import Score, serving


class Sent:
    def add_errback(self, _):
        """Kafka took it."""


@pytest.fixture
def kafka(monkeypatch):
    """The lines that a Kafka in memory has taken."""
    lines: list[bytes] = []

    class Producer:
        def __init__(self, **_): ...
        def send(self, topic, value, key):
            assert (topic, key) == ("movielog", value.split(b",")[1])
            lines.append(value)
            return Sent()

        def flush(self, _): ...
        def close(self, **_): ...

    monkeypatch.setattr("cli.replay.KafkaProducer", Producer)
    return lines


def simulate(*arguments):
    """Run the command without a terminal; its errors are raised."""
    return CliRunner().invoke(app, ["simulate", "--users", "50", "--movies", "300", *arguments], catch_exceptions=False)


def test_a_past_then_visits_then_what_they_came_to(kafka):
    """The numbers are those of the lines that were written, and the next run can go on where this one ended."""
    with serving(Score("svd", wrong=b"1,2,3\n")) as recommend:
        arguments = ("--history", "100", "--patience", "0", "--rate", "100", "--seconds", "0.5", "--speed", "1e6")
        done = simulate(*arguments, "--url", recommend.url, "--json")
    found = json.loads(done.stdout)
    assert (found["visits"], found["lists"], found["statuses"]) == (50, 50, {"200": 50})
    assert sum(b"recommendation request" in line for line in kafka) == 50
    assert sum(b"GET /rate/" in line for line in kafka) == 100 + found["rated"]
    assert found["next_moment"] > 150


def test_the_summary_is_for_people(kafka):
    """Who served what with which success, how fast it was, and how to go on."""
    with serving(Score("svd", wrong=b"1,2,3\n")) as recommend:
        done = simulate("--rate", "100", "--seconds", "0.2", "--speed", "1e6", "--url", recommend.url)
    assert "20 of status 200" in done.stdout
    assert "--moment 20" in done.stdout


def test_answers_that_were_lost_are_the_last_word_and_the_status_is_1(kafka, monkeypatch):
    """A script must not take it for a success, nor a person overlook it."""
    answers = itertools.cycle([Answer(200, "1,2,3", {}, 5.0), Answer(504, "late", {}, 600.0)])

    async def answer_of(*_):
        return next(answers)

    monkeypatch.setattr("cli.simulator.driver.answer_of", answer_of)
    arguments = ("--rate", "100", "--seconds", "0.2", "--speed", "1e6")
    with serving(Score("svd", wrong=b"1,2,3\n")) as site:
        done = simulate(*arguments, "--url", site.url)
        assert done.exit_code == 1
        assert "10 of 20 answers were lost" in done.stdout.splitlines()[-1]
        done = simulate(*arguments, "--url", site.url, "--json")
    assert (done.exit_code, json.loads(done.stdout)["lost"]) == (1, 10)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense"])
def test_where_nobody_answers_nothing_is_written(kafka, url):
    """Neither a past, nor visits that never were."""
    with pytest.raises(BadInput, match="nobody answers at"):
        simulate("--history", "50", "--seconds", "1", "--url", url)
    assert kafka == []


def test_a_past_and_fake_profiles_need_no_service(kafka):
    """Nobody asks for anything in no seconds."""
    simulate("--history", "50", "--seconds", "0", "--spam-movie", "3", "--spam-share", "0.1")
    assert sum(b"GET /rate/3=5" in line for line in kafka) >= 5
    assert not any(b"recommendation request" in line for line in kafka)


def test_a_model_that_never_comes_is_said(kafka):
    """After the patience that was asked for, in one sentence."""
    with serving(Score("svd", wrong=b"1,2,3\n")) as recommend, pytest.raises(NotReady, match="waited 1 s for a model"):
        simulate("--history", "50", "--seconds", "1", "--patience", "1", "--url", recommend.url)


def test_what_cannot_be_simulated_is_said_before_anything_is_written(kafka):
    """A movie to push that the site does not have."""
    with pytest.raises(BadInput, match="no such movie"):
        simulate("--history", "50", "--spam-movie", "no such movie", "--seconds", "0")
    assert kafka == []

import pytest

from cli.drill import acts
from cli.simulator.population import numbered
from tests import fakes
from tests.unit.cli.drill.stage import FakeStage, accepted, dead, judged, ready


@pytest.fixture
def on(tmp_path, monkeypatch):
    """Plays an act on a stage where a model is live and some steps are to come; returns what came of it, and both."""

    def play(act, *steps, stage=None):
        stage = stage or FakeStage.live(tmp_path, *steps)
        monkeypatch.setattr(acts, "time", stage)
        return acts.Act("a title", "what is expected", act).on(stage), stage

    return play


PROMOTED = [accepted("m2"), ready, judged("hold"), judged("promote")]
TAKEN_BACK = [accepted("m2"), ready, judged("roll_back")]


@pytest.mark.parametrize(
    ("act", "steps", "did"),
    [
        (acts.improve, PROMOTED, ["deploying", "canary", "promoted"]),
        (acts.spoil, [ready, judged("roll_back")], ["deploying", "canary", "rolled_back"]),
        (acts.attack, TAKEN_BACK, ["deploying", "canary", "rolled_back"]),
        (acts.attack, [accepted("m2"), ready, judged("hold")], ["deploying", "canary", "rolled_back"]),
        (acts.die, [ready, judged("hold"), dead], ["deploying", "canary", "rolled_back"]),
        (acts.fall_silent, [ready], ["deploying", "canary", "rolled_back"]),
    ],
)
def test_an_act_that_goes_as_it_should_is_right(on, act, steps, did):
    """It knows what changed in its own time, and nothing of what was before."""
    played, _ = on(act, *steps)
    assert played.wrong == ""
    assert [change.what for change in played.changes] == did


@pytest.mark.parametrize(
    ("act", "steps", "wrong"),
    [
        (acts.improve, TAKEN_BACK, "it was rolled back"),
        (acts.improve, [accepted("m2"), ready], "waited 240 s for an end of the canary"),
        (acts.spoil, [ready, judged("promote")], "it was promoted"),
        (acts.spoil, [ready, dead], "no stored decision was the reason"),
        (acts.attack, PROMOTED, "it was promoted"),
        (acts.attack, [accepted("m2"), ready, dead], "no stored decision was the reason"),
        (acts.die, [ready, judged("promote")], "it was promoted"),
        (acts.die, [], "waited 120 s for a canary with users"),
        (acts.fall_silent, [ready, judged("promote")], "it was not held: promoted"),
        (acts.fall_silent, [ready, judged("roll_back")], "it was not held: rolled_back"),
    ],
)
def test_an_act_that_goes_otherwise_says_what_is_wrong(on, act, steps, wrong):
    """In words, and the drill goes on."""
    played, _ = on(act, *steps)
    assert played.wrong == wrong


def test_the_first_models_are_live_or_waited_for_in_vain(on, tmp_path):
    """Their past is archived first."""
    stage = FakeStage(fakes.deps(tmp_path), [accepted("m0"), ready])
    played, _ = on(acts.go_live, stage=stage)
    assert (played.wrong, stage.did, stage.state.model_version) == ("", ["first"], "m0")
    played, _ = on(acts.go_live, stage=FakeStage(fakes.deps(tmp_path)))
    assert played.wrong == "waited 150 s for two live models"


def test_an_answer_that_is_no_list_makes_any_act_wrong(on, tmp_path):
    """Beside what else is wrong; answers of before are not counted again."""
    stage = FakeStage.live(tmp_path)
    stage.crowds.played.asked.statuses.update({200: 9, 503: 4})

    def badly(stage):
        stage.crowds.played.asked.statuses.update({200: 1, 500: 1, 0: 1})
        stage.crowds.played.lists += 1
        return "it was promoted"

    assert on(badly, stage=stage)[0].wrong == "it was promoted; 2 requests got no list"
    assert on(lambda _: "", stage=stage)[0].wrong == ""


def test_a_crowd_that_is_gone_makes_any_act_wrong(on, tmp_path):
    """What nobody saw is no proof."""
    stage = FakeStage.live(tmp_path)
    stage.crowds.failure = OSError("Kafka is gone")
    assert on(lambda _: "", stage=stage)[0].wrong == "nobody visits any more: OSError('Kafka is gone')"


def test_a_silence_in_which_nobody_decided_is_no_proof(on, tmp_path):
    """Had the evaluation been dead, nothing would have moved either."""
    stage = FakeStage.live(tmp_path, ready)
    stage.stored.clear()
    assert on(acts.fall_silent, stage=stage)[0].wrong == "nobody decided to hold it"


def test_an_attack_that_nobody_looked_at_was_not_held(on, tmp_path):
    """That it had no end is not enough."""
    stage = FakeStage.live(tmp_path, accepted("m2"), ready)
    stage.stored.clear()
    assert on(acts.attack, stage=stage)[0].wrong == "nobody decided to hold it"


def test_a_bad_model_takes_every_movie_for_another(on):
    """What it gives out is all movies, in another order."""
    _, stage = on(acts.spoil, ready, judged("roll_back"))
    (movies,) = stage.did
    assert sorted(movies) == sorted(numbered(50)) != movies


def test_attackers_are_in_the_lake_before_the_past_that_makes_a_model_of_them(on):
    """They push the movie that is watched least."""
    _, stage = on(acts.attack, *TAKEN_BACK)
    people = stage.crowd.population
    lines, archive = stage.did
    assert archive == "beside-spam"
    assert any(f"GET /rate/{people.movies[people.popularity.argmin()]}=5".encode() in line for line in lines)


def test_an_attack_says_what_few_attackers_reach(on, tmp_path):
    """1 and 3 % of a hundred users, 21 lines and an account each; it is wrong if those were enough already."""
    played, _ = on(acts.attack, *TAKEN_BACK)
    assert played.notes[:2] == (
        "1% fake profiles: the movie in 0% of lists",
        "3% fake profiles: the movie in 1% of lists",
    )
    stage = FakeStage.live(tmp_path, *TAKEN_BACK)
    stage.reached_by = 30
    played, _ = on(acts.attack, stage=stage)
    assert played.wrong.startswith("1% fake profiles: the movie in 73% of lists; 3% fake profiles: ")
    assert "a guardrail would have to stop a few as well" in played.wrong


def test_processes_are_killed_until_the_canary_is_gone(on):
    """Once a second."""
    _, stage = on(acts.die, ready, judged("hold"), judged("hold"), dead)
    killed = [name for name in stage.did if isinstance(name, str)]
    assert len(killed) == 3
    assert len(set(killed)) == 1


@pytest.mark.parametrize("steps", [[], [ready], [ready, judged("roll_back")]])
def test_after_the_silence_the_site_is_heard_again_and_the_live_model_stays(on, steps):
    """Whatever came of it, the canary is gone and nothing else."""
    _, stage = on(acts.fall_silent, *steps)
    assert not stage.crowds.silent.is_set()
    assert stage.state.model_version == "m1"

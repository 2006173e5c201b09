import pytest

from functions.train.engine import DEFAULTS
from infra.provenance.git import public
from infra.provenance.registrar import moves, unregistered, words
from shared import keys
from shared.artifacts import ArtifactStore, Manifest
from shared.rollout import Change, Release, State
from tests.fakes import MemoryStore


def change(number, what, model, why="users prefer it"):
    return Change(number=number, at=number, what=what, model_version=model, percent=0, who="rollout", why=why)


def state(live, *log):
    release = live and Release(model_version=live, revision="r", lake_version=1)
    return State(service="score-svd", model_version=live, stable=release, log=log)


def seen(*arguments):
    return [each.model_version for each in moves(*arguments)]


def test_every_promotion_since_the_last_one_known_is_a_move():
    """However seldom the registrar runs, no model that was live is left out."""
    log = [
        change(1, "promoted", "a"),
        change(2, "deploying", "b"),
        change(3, "promoted", "b"),
        change(5, "promoted", "c"),
    ]
    assert seen(state("c", *log), None, -1) == ["a", "b", "c"]
    assert seen(state("c", *log), "a", 1) == ["b", "c"]
    assert seen(state("c", *log), "c", 5) == []


def test_a_roll_back_moves_to_the_model_before_and_says_why():
    """The model that is live now is the last move, with the change that took the other's users."""
    log = [change(1, "promoted", "a"), change(2, "promoted", "b"), change(3, "rolled_back", "b", "complaints")]
    (move,) = moves(state("a", *log), "b", 2)
    assert move.model_version == "a"
    assert words("score-svd", move) == "score-svd change 3: rolled back by rollout: complaints"


def test_a_canary_that_goes_back_moves_nothing():
    """Its service was never answered from it."""
    log = [change(1, "promoted", "a"), change(2, "rolled_back", "b")]
    assert seen(state("a", *log), "a", 1) == []


def test_new_code_of_the_same_model_moves_nothing():
    """The stage is the model's, not the image's."""
    log = [change(1, "promoted", "a"), change(2, "promoted", "a")]
    assert seen(state("a", *log), "a", 1) == []


def test_who_is_live_counts_even_if_no_change_says_how():
    """The log keeps only the last changes, and a channel may be made anew."""
    assert seen(state("z"), "a", 99) == ["z"]
    assert seen(state(None), None, -1) == []
    anew = state("b", change(1, "promoted", "a"), change(2, "promoted", "b"))
    (move,) = moves(anew, "z", 99)
    assert move.change
    assert seen(anew, move.model_version, move.change.number) == []


def test_a_reason_of_many_lines_is_one():
    """A tag's first line is what the next run reads."""
    (move,) = moves(state("a", change(7, "promoted", "a", "why\n\nChange 9:\tnot\0this\ud800")), None, -1)
    assert words("score-svd", move) == "score-svd change 7: promoted by rollout: why Change 9: not this"


def put(objects, name, *, at, **facts):
    facts = {"kind": "model", "id": name, "created_at": at, "parameters": DEFAULTS["svd"].as_dict()} | facts
    ArtifactStore(objects).put(keys.model("svd", name), {"factors.npz": b"f"}, Manifest(**facts))


@pytest.fixture
def objects():
    return MemoryStore()


def test_models_come_oldest_first_and_each_once(objects):
    """By the moment they were made, whatever its time zone; those that are registered are not read."""
    put(objects, "aa", at="2026-11-25T12:00:00+00:00")
    put(objects, "bb", at="2026-11-25T12:30:00+01:00")
    put(objects, "cc", at="2026-11-24T12:00:00+00:00")
    found, trouble = unregistered(objects, "svd", {"cc"})
    assert [manifest.id for manifest in found] == ["bb", "aa"]
    assert trouble == []


def test_an_odd_manifest_is_named_and_keeps_no_other_back(objects):
    """Damage, a manifest of something else, and an artifact that was begun."""
    put(objects, "aa", at="2026-11-25T12:00:00+00:00")
    put(objects, "bb", at="yesterday")
    put(objects, "cc", at="2026-11-25T12:00:00+00:00", kind="matrix")
    put(objects, "ff", at="2026-11-25T12:00:00+00:00", parameters={})
    put(objects, "g g", at="2026-11-25T12:00:00+00:00")
    objects.put("models/svd/dd/manifest.json", b"{")
    objects.put("models/svd/ee/factors.npz", b"f")
    objects.put("models/svd/aa/next/manifest.json", b"{")
    found, trouble = unregistered(objects, "svd", ())
    assert [manifest.id for manifest in found] == ["aa"]
    assert [line.split("/")[2] for line in trouble] == ["bb", "cc", "dd", "ff", "g g"]


def test_no_password_is_said():
    """What git complains of may name the repository as it was given."""
    said = "fatal: unable to access 'https://bot:s3cret@git.example/m.git/': nobody"
    assert public(said) == "fatal: unable to access 'https://git.example/m.git/': nobody"

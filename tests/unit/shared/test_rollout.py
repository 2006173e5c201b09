import pytest

from shared.channels import Channels
from shared.errors import Corrupt
from shared.rollout import Canary, Period, Release, State, read, update
from tests.fakes import MemoryStore

RELEASE = Release(model_version="m1", revision="score-svd-m1", lake_version=1)


def test_a_state_is_what_was_stored():
    """Times are whole microseconds, and the stable model's name is where everybody looks for it."""
    canary = Canary(release=RELEASE, phase="serving", periods=(Period(since=7, percent=0), Period(since=9, percent=5)))
    state = State(service="score-svd", model_version="m0", canary=canary)
    stored = state.model_dump(mode="json")
    assert stored["canary"]["periods"] == [{"since": 7, "percent": 0}, {"since": 9, "percent": 5}]
    assert stored["model_version"] == "m0"
    assert read("score-svd", stored) == state


def test_an_empty_channel_is_a_service_without_a_model():
    """And what others wrote there before does not hurt: the service is the one that was asked for."""
    assert read("score-svd", {}) == State(service="score-svd")
    assert read("score-svd", {"service": "another", "matrix_id": "x"}).service == "score-svd"


@pytest.mark.parametrize(
    "channel",
    [{"stable": 7}, {"log": {}}, {"canary": {"release": {}}}, {"is_paused": "?"}, {"announced": None}]
    + [
        {"canary": {"release": RELEASE.model_dump(), "phase": "serving", "periods": periods}}
        for periods in ([], [{"since": -1, "percent": 0}], [{"since": 1, "percent": 101}])
    ],
)
def test_a_channel_that_holds_something_else_is_refused(channel):
    """Nobody acts on half a state."""
    with pytest.raises(Corrupt, match="channel of score-svd"):
        read("score-svd", channel)


def test_what_changes_nothing_is_not_written():
    """So that whoever repeats a step takes nobody's turn."""
    store = MemoryStore()
    assert update(Channels(store), "score-svd", lambda state: state) == State(service="score-svd")
    assert store.objects == {}
    paused = update(Channels(store), "score-svd", lambda state: state.model_copy(update={"is_paused": True}))
    assert paused == update(Channels(store), "score-svd", lambda state: state)
    assert list(store.objects) == ["channels/score-svd.json"]

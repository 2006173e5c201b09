import json

import pytest

from shared import keys
from shared.channels import Channels
from shared.errors import Corrupt, NotReady
from shared.experiment import Change, Comparison, Experiment, comparison, known, noted, shares, stepped
from tests.fakes import MemoryStore

FOUND = {
    "preferred": "svdpp:stable",
    "since": 7,
    "svd_percent": 50,
    "estimate": 0.2,
    "lower": 0.1,
    "upper": 0.3,
    "canary": 0.4,
    "stable": 0.2,
    "n_canary": 900,
    "n_stable": 901,
}


def change(at: int, percent: int = 50) -> Change:
    return Change(at=at, svd_percent=percent, who="ann", why="because")


def test_the_newest_change_says_what_holds_and_the_last_fifty_are_kept() -> None:
    """Since when, by whom and why stands beside the share."""
    state = None
    for at in range(60):
        state = noted(state, change(at, at))
    assert state
    assert (state.svd_percent, state.since, state.log[-1].who) == (59, 59, "ann")
    assert [each.at for each in state.log] == list(range(10, 60))


@pytest.mark.parametrize(
    "data",
    [
        b"\x00",
        b"{}",
        b'{"log": []}',
        b"[" * 100_000,
        b'{"log": [{"at": 1, "svd_percent": 101, "who": "a", "why": "b"}]}',
    ],
    ids=lambda data: repr(data[:9]),
)
def test_a_channel_that_cannot_be_read_says_nothing_and_is_written_anew(data: bytes) -> None:
    """Damage is as if nobody had ever moved the weight; a store that is away is not."""
    store = MemoryStore()
    channels = Channels(store)
    assert known(channels) is None
    store.put("channels/experiment.json", data)
    assert known(channels) is None
    channels.revise(keys.EXPERIMENT_CHANNEL, Experiment, lambda before: noted(before, change(3, 60)))
    assert known(channels) == Experiment(log=(change(3, 60),))
    store.down = True
    with pytest.raises(NotReady):
        known(channels)


def test_all_users_are_shared() -> None:
    """Whoever is not on SVD is on SVD++."""
    assert shares(30) == {"svd": 30, "svdpp": 70}


@pytest.mark.parametrize(
    ("percent", "better", "step", "after"),
    [
        (50, "svd", 10, 60),
        (50, "svdpp", 10, 40),
        (85, "svd", 10, 90),
        (15, "svdpp", 10, 10),
        (90, "svd", 10, 90),
        (10, "svdpp", 80, 10),
        (90, "svdpp", 80, 10),
        (100, "svdpp", 10, 100),
        (5, "svd", 10, 5),
    ],
)
def test_a_step_goes_to_the_better_one_and_never_beyond_a_limit(percent, better, step, after) -> None:
    """What is beyond a limit already was a person's choice."""
    assert stepped(percent, better, step) == after


@pytest.mark.parametrize(("preferred", "better"), [("svdpp:stable", "svdpp"), ("svd:stable", "svd"), (None, None)])
def test_a_report_says_which_algorithm_is_better(preferred: str | None, better: str | None) -> None:
    """Arms are named as everywhere else; what else is in the report is for others."""
    report = {"score-svd": {"svd:stable": {}}, "experiment": FOUND | {"preferred": preferred}}
    found = comparison(json.dumps(report).encode())
    assert found == Comparison.model_validate(FOUND | {"preferred": preferred})
    assert found.better == better


def test_a_report_without_a_comparison_is_no_damage_and_damage_is_told() -> None:
    """An algorithm without a model is not compared."""
    assert comparison(b'{"score-svd": {}, "experiment": null}') is None
    for damage in (b"", b"[]", json.dumps({"experiment": FOUND | {"lower": "x"}}).encode()):
        with pytest.raises(Corrupt, match="not an online report"):
            comparison(damage)

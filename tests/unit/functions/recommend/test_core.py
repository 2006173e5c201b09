import functools
import hashlib
import itertools
import os
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.recommend import core
from shared.errors import BadInput
from shared.ports import Target
from tests.entry import ROOT


@pytest.mark.parametrize("user", ["1", "12", "999999999999999999"])
def test_a_user_id_is_a_whole_number(user):
    """Any from 1 on, as the site writes it."""
    assert core.ask(user, [], []) == core.Ask(user, 20, ())


@pytest.mark.parametrize(
    "user",
    ["", "0", "-1", "01", "+1", "1.0", "1e9", "١٢", "²", "abc", "1 ", " 1", "../1", "%2e%2e%2f", "1\n", "9" * 10_000],
)
def test_what_is_no_user_id_is_refused(user):
    """With words that say what would be right, and without the ten thousand digits."""
    with pytest.raises(BadInput, match="whole number") as error:
        core.ask(user, [], [])
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("n", [["0"], ["21"], ["-1"], ["x"], [""], ["1", "2"], ["٣"], ["1e1"], ["9" * 500]])
def test_n_is_one_number_from_1_to_20(n):
    """Anything else is refused, also two of them."""
    with pytest.raises(BadInput, match="n is one whole number"):
        core.ask("1", n, [])


def test_exclude_may_be_given_as_a_list_or_again_and_again():
    """Commas and repetition mean the same, and an id counts once."""
    assert core.ask("1", ["5"], ["a,b", "c", "a,,"]).exclude == ("a", "b", "c")


@pytest.mark.parametrize("exclude", [["../x"], ["a b"], ["x" * 300], ["a,b"] * 51, [f"{n:0200}" for n in range(90)]])
def test_exclude_lists_movie_ids_and_not_too_many(exclude):
    """What cannot be a movie id is refused, and so is a list beyond the limit."""
    with pytest.raises(BadInput, match="exclude"):
        core.ask("1", [], exclude)


@given(st.text(max_size=200))
def test_a_request_id_can_always_stand_in_a_header(text):
    """A caller's id is echoed only if it is plain text of a sane length."""
    if core.is_plain(text):
        assert 1 <= len(text) <= 128
        assert text.isascii()
        assert text.isprintable()
        assert " " not in text


def test_ordinary_request_ids_are_good():
    """Tracing goes on from the caller's id."""
    assert core.is_plain("abc-1")
    assert core.is_plain("7f5c5d6e-0000-4000-8000-3c1b0d6f0a11")
    assert not core.is_plain("")


USERS = [str(user) for user in range(1, 100_001)]


@pytest.mark.parametrize("share", [10, 50, 73])
def test_arms_get_their_share_of_users(share):
    """Over 100,000 users each arm is within half a point of its weight."""
    weights = {"svd": share, "svdpp": 100 - share}
    found = sum(core.deal(user, "salt", weights) == "svd" for user in USERS) / len(USERS)
    assert found == pytest.approx(share / 100, abs=0.005)


def test_a_changed_weight_moves_only_the_users_it_must():
    """From 50 to 60 percent, one user in ten changes, and always to the arm that grew."""
    before = [core.deal(user, "salt", {"svd": 50, "svdpp": 50}) for user in USERS]
    after = [core.deal(user, "salt", {"svd": 60, "svdpp": 40}) for user in USERS]
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {"svd"}
    assert len(moved) / len(USERS) == pytest.approx(0.1, abs=0.005)


def test_an_arm_does_not_depend_on_the_process():
    """Known answers: the hash is fixed, not Python's own, which differs from process to process."""
    weights = {"svd": 50, "svdpp": 50}
    assert [core.deal(str(user), "marquee", weights) for user in range(1, 9)] == ARMS


ARMS = ["svd", "svdpp", "svd", "svdpp", "svdpp", "svd", "svdpp", "svdpp"]


def test_another_salt_is_another_experiment():
    """Users are dealt anew, so that one experiment does not shape the next."""
    weights = {"svd": 50, "svdpp": 50}
    same = sum(core.deal(user, "one", weights) == core.deal(user, "two", weights) for user in USERS) / len(USERS)
    assert same == pytest.approx(0.5, abs=0.01)


def test_an_arm_without_weight_gets_nobody():
    """0 percent is nobody; all weights 0 is an error."""
    assert {core.deal(user, "s", {"svd": 0, "svdpp": 100}) for user in itertools.islice(USERS, 1000)} == {"svdpp"}
    with pytest.raises(ValueError, match="all 0"):
        core.deal("1", "s", {"svd": 0, "svdpp": 0})


def targets(canary: int, *, revisions: tuple[str, str] = ("r1", "r2")) -> dict[str, list[Target]]:
    """Return the targets of both services, of which only svd's has a canary."""
    svd = [Target(revisions[0], "stable", 100 - canary, "http://a"), Target(revisions[1], "canary", canary, "http://b")]
    return {"svd": svd, "svdpp": [Target("p1", "stable", 100, "http://c")]}


@functools.cache
def names(weight: int, canary: int, **more) -> list[str]:
    """Return the name of everybody's arm."""
    weights = {"svd": weight, "svdpp": 100 - weight}
    return [core.arms(user, "salt", weights, targets(canary, **more))[0].name for user in USERS]


def shares(found: list[str]) -> dict[str, float]:
    return {name: 100 * n / len(found) for name, n in Counter(found).items()}


@pytest.mark.parametrize(("weight", "canary"), [(50, 10), (80, 50), (100, 1)])
def test_each_arm_gets_its_share_of_all_users(weight, canary):
    """Over 100,000 users every arm is within half a point: the algorithm's weight times the revision's."""
    svd = {"svd:stable": weight * (100 - canary) / 100, "svd:canary": weight * canary / 100}
    expected = {name: share for name, share in (svd | {"svdpp:stable": 100 - weight}).items() if share}
    assert shares(names(weight, canary)) == pytest.approx(expected, abs=0.5)


def test_a_canary_that_grows_takes_users_of_its_own_service_alone():
    """From 10 to 25 percent: 15 % of the users of svd move, all from stable to canary, and nobody else does."""
    before, after = names(50, 10), names(50, 25)
    moved = Counter((old, new) for old, new in zip(before, after, strict=True) if old != new)
    assert moved.keys() == {("svd:stable", "svd:canary")}
    assert 100 * moved.total() / sum(name.startswith("svd:") for name in before) == pytest.approx(15, abs=0.5)


def test_a_change_of_algorithm_weights_leaves_revisions_alone():
    """From 50 to 60 percent svd: 10 % move, all of them from svdpp; who was in the canary stays there."""
    before, after = names(50, 10), names(60, 10)
    moved = Counter(old for old, new in zip(before, after, strict=True) if old != new)
    assert moved.keys() == {"svdpp:stable"}
    assert 100 * moved.total() / len(USERS) == pytest.approx(10, abs=0.5)


def test_the_order_in_which_a_router_lists_its_targets_moves_nobody():
    """Only the revisions' names count, so that a promotion's new tags move nobody either."""
    weights = {"svd": 50, "svdpp": 50}
    listed = targets(30)
    for user in USERS[:2_000]:
        assert core.arms(user, "s", weights, listed) == core.arms(
            user, "s", weights, {name: found[::-1] for name, found in listed.items()}
        )


def test_a_target_without_traffic_gets_nobody_and_can_be_all_there_was_before():
    """0 percent is nobody, wherever the target stands in the order."""
    assert set(names(100, 0)) == {"svd:stable"}
    assert set(names(100, 100, revisions=("r9", "r2"))) == {"svd:canary"}


def test_the_second_arm_is_the_one_a_user_has_with_the_other_algorithm():
    """Whom the own model cannot answer is asked for at the other's, sticky there too."""
    for user in USERS[:1_000]:
        first, second = core.arms(user, "s", {"svd": 50, "svdpp": 50}, targets(50))
        assert {first.algorithm, second.algorithm} == {"svd", "svdpp"}
        alone = {second.algorithm: 100, first.algorithm: 0}
        assert core.arms(user, "s", alone, targets(50))[0] == second


FRESH = """
import hashlib
from tests.unit.functions.recommend.test_core import names
print(hashlib.sha256(" ".join(names(50, 10)).encode()).hexdigest())
"""


def test_a_fresh_process_deals_the_same_arms():
    """Another process, with another seed of Python's own hash, puts all 100,000 users into the same arms."""
    here = hashlib.sha256(" ".join(names(50, 10)).encode()).hexdigest()
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": "12345"}
    there = subprocess.run([sys.executable, "-c", FRESH], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert there.stdout.strip() == here, there.stderr


@pytest.mark.parametrize(
    ("accept", "json"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("image/png", False),
        ("application/json", True),
        ("APPLICATION/JSON", True),
        ("application/*", True),
        ("application/json;charset=utf-8", True),
        ("application/json, */*", True),
        ("*/*, application/json", True),
        ("application/json, text/plain, */*", True),
        ("text/plain, application/json", False),
        ("application/json;q=0.5, text/plain", False),
        ("application/json;q=0.5, text/plain;q=0.4", True),
        ("text/plain;q=0.5, application/json ; q=0.6", True),
        ("application/json;q=0", False),
        ("application/json;q=0, */*", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        (",;q=1,/,application/json;q=x", True),
        ("application/json" + "," * 59_000, True),
        ("," * 59_000 + "application/json", False),
        ("application/json" + ";a" * 29_000, False),
        (", " * 31 + "application/json", True),
        ("text/html, " * 90 + "application/json;q=0", False),
    ],
)
def test_json_is_for_who_wants_it_more_than_text(accept, json):
    """By weight, then by how exactly it is named, then by which comes first; of a long header the beginning counts."""
    assert core.prefers_json(accept) == json


@given(st.text(max_size=100))
def test_no_accept_header_is_an_error(accept):
    """Whatever a client sends, it gets one form or the other."""
    assert core.prefers_json(accept) in (True, False)


def test_popular_movies_come_in_order_without_the_excluded():
    """As many as asked for, or as there are; where all are excluded, the first are better than nothing."""
    assert core.popular(["a", "b", "c"], 2, ["a"]) == ["b", "c"]
    assert core.popular(["a"], 5, []) == ["a"]
    assert core.popular(["a", "b"], 1, ["b", "a"]) == ["a"]

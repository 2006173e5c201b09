import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.recommend import core
from shared.errors import BadInput


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


@pytest.mark.parametrize("exclude", [["../x"], ["a b"], ["x" * 300], [",".join(f"m{i}" for i in range(101))]])
def test_exclude_lists_movie_ids_and_not_too_many(exclude):
    """What cannot be a movie id is refused, and so is a list beyond the limit."""
    with pytest.raises(BadInput, match="exclude"):
        core.ask("1", [], exclude)


@given(st.text(max_size=200))
def test_a_request_id_can_always_stand_in_a_header(text):
    """A caller's id is echoed only if it is plain text of a sane length."""
    if core.is_request_id(text):
        assert 1 <= len(text) <= 128
        assert text.isascii()
        assert text.isprintable()
        assert " " not in text


def test_ordinary_request_ids_are_good():
    """Tracing goes on from the caller's id."""
    assert core.is_request_id("abc-1")
    assert core.is_request_id("7f5c5d6e-0000-4000-8000-3c1b0d6f0a11")
    assert not core.is_request_id("")


USERS = [str(user) for user in range(1, 100_001)]


@pytest.mark.parametrize("share", [10, 50, 73])
def test_arms_get_their_share_of_users(share):
    """Over 100,000 users each arm is within half a point of its weight."""
    weights = {"svd": share, "svdpp": 100 - share}
    found = sum(core.arm(user, "salt", weights) == "svd" for user in USERS) / len(USERS)
    assert found == pytest.approx(share / 100, abs=0.005)


def test_a_changed_weight_moves_only_the_users_it_must():
    """From 50 to 60 percent, one user in ten changes, and always to the arm that grew."""
    before = [core.arm(user, "salt", {"svd": 50, "svdpp": 50}) for user in USERS]
    after = [core.arm(user, "salt", {"svd": 60, "svdpp": 40}) for user in USERS]
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {"svd"}
    assert len(moved) / len(USERS) == pytest.approx(0.1, abs=0.005)


def test_an_arm_does_not_depend_on_the_process():
    """Known answers: the hash is fixed, not Python's own, which differs from process to process."""
    weights = {"svd": 50, "svdpp": 50}
    assert [core.arm(str(user), "marquee", weights) for user in range(1, 9)] == ARMS


ARMS = ["svd", "svdpp", "svd", "svdpp", "svdpp", "svd", "svdpp", "svdpp"]


def test_another_salt_is_another_experiment():
    """Users are dealt anew, so that one experiment does not shape the next."""
    weights = {"svd": 50, "svdpp": 50}
    same = sum(core.arm(user, "one", weights) == core.arm(user, "two", weights) for user in USERS) / len(USERS)
    assert same == pytest.approx(0.5, abs=0.01)


def test_an_arm_without_weight_gets_nobody():
    """0 percent is nobody; all weights 0 is an error."""
    assert {core.arm(user, "s", {"svd": 0, "svdpp": 100}) for user in itertools.islice(USERS, 1000)} == {"svdpp"}
    with pytest.raises(ValueError, match="all 0"):
        core.arm("1", "s", {"svd": 0, "svdpp": 0})


def test_popular_movies_come_in_order_without_the_excluded():
    """As many as asked for, or as there are."""
    assert core.popular(["a", "b", "c"], 2, ["a"]) == ["b", "c"]
    assert core.popular(["a"], 5, []) == ["a"]

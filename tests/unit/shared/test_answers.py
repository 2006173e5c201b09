import pytest

from shared.answers import NEAR, Asked, Served, asked, fits, of_user
from shared.errors import BadInput
from shared.lines import Limits

NOW = 1_764_072_000_000_000  # 2025-11-25T12:00:00
LINE = "2025-11-25T10:00:00,15,recommendation request host, status 200, result: a, b, c, 12 ms"
TIME = NOW - 7_200_000_000


def served(time: int = TIME, movies: str = "abc", user_id: str = "15", offset: int = 1) -> Served:
    return Served(
        *("served", 0, offset, time, time, user_id, tuple(movies), 3.0),
        *(f"r{offset}", "svd:stable", "svd@m1", "score-svd-m1", "personal"),
    )


def test_a_line_says_whose_list_it_was_and_when() -> None:
    """As the site logged it, with a line break or without."""
    assert asked(f"{LINE}\n", NOW, Limits()) == Asked("15", TIME, ("a", "b", "c"))


def test_what_has_no_comma_is_a_request_id() -> None:
    """As a header of the answer said it."""
    assert asked(" 5f0c ", NOW, Limits()) == Asked(request_id="5f0c")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "neither"),
        ("a,b,c", "bad_time"),
        ("2025-11-25T10:00:00,15,GET /rate/a=4", "it tells of a rating"),
        ("2125-11-25T10:00:00,15,recommendation request h, status 200, result: a, 1 ms", "time_out_of_range"),
    ],
)
def test_a_line_that_tells_of_no_answer_is_refused(text: str, why: str) -> None:
    """With what it is instead."""
    with pytest.raises(BadInput, match=why):
        asked(text, NOW, Limits())


def test_a_user_is_one_of_the_site() -> None:
    """Nothing else is looked for."""
    assert of_user("15", 7) == Asked("15", 7)
    with pytest.raises(BadInput, match="no user id"):
        of_user("fifteen", 7)


def test_the_list_with_the_same_movies_in_that_minute_is_the_one() -> None:
    """Not another user's, another list, or the same one of another hour."""
    lists = [
        served(offset=1),
        served(offset=2, user_id="16"),
        served(offset=3, movies="abd"),
        served(offset=4, time=TIME + 60 * NEAR),
    ]
    found = fits(lists, asked(LINE, NOW, Limits()))
    assert [each.offset for each in found.lists] == [1]
    assert found.note == ""


def test_two_that_fit_are_both_returned() -> None:
    """The nearer one first, and it is said."""
    found = fits([served(TIME + 20_000_000, offset=1), served(TIME - 1_000, offset=2)], asked(LINE, NOW, Limits()))
    assert [each.offset for each in found.lists] == [2, 1]
    assert "2 lists fit" in found.note


def test_a_clock_that_is_ahead_is_seen_by_the_list() -> None:
    """The nearest list with the same movies, and by how much the clocks differ."""
    found = fits([served(TIME - 600_000_000), served(TIME, "xyz")], asked(LINE, NOW, Limits()))
    assert [each.movies for each in found.lists] == [("a", "b", "c")]
    assert "+600 s" in found.note


def test_a_list_that_nobody_served_is_said_to_be_none() -> None:
    """With what was served about then."""
    found = fits([served(movies="xyz")], asked(LINE, NOW, Limits()))
    assert len(found.lists) == 1
    assert "none of the lists" in found.note
    assert fits([], asked(LINE, NOW, Limits())) == ([], "")


def test_a_failure_has_no_list_and_what_was_served_then_is_told() -> None:
    """The answer may have been lost on its way."""
    line = "2025-11-25T10:00:00,15,recommendation request host, status 0, result: TimeoutError, 5000 ms"
    found = fits([served()], asked(line, NOW, Limits()))
    assert len(found.lists) == 1
    assert found.note.startswith("the site got no list (status 0, TimeoutError)")


def test_a_request_that_was_asked_again_was_served_twice() -> None:
    """The router does so when a process is silent."""
    found = fits([served(offset=1), served(TIME - 5, offset=2)], Asked(request_id="r"))
    assert [each.offset for each in found.lists] == [2, 1]
    assert "asked again" in found.note

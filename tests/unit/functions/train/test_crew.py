import threading

import pytest

from functions.train.crew import Crew


def test_a_task_runs_once_in_each_thread():
    """Each has its number, and all are done when the call returns."""
    with Crew(3) as crew:
        for _ in range(50):
            seen = []
            crew(lambda number, more, seen=seen: seen.append((number, threading.get_ident(), more)), "more")
            assert sorted(number for number, _, _ in seen) == [0, 1, 2]
            assert len({ident for _, ident, _ in seen}) == 3
            assert {more for _, _, more in seen} == {"more"}


@pytest.mark.parametrize("culprit", [0, 2])
def test_what_a_task_raises_reaches_the_caller(culprit):
    """Others finish first, and the crew can go on."""

    def task(number):
        if number == culprit:
            raise KeyError(number)

    with Crew(3) as crew:
        with pytest.raises(KeyError, match=str(culprit)):
            crew(task)
        crew(lambda number: None)


def test_no_thread_is_left_behind():
    """Also when the caller fails."""
    before = threading.active_count()
    with pytest.raises(RuntimeError), Crew(4):
        raise RuntimeError
    assert threading.active_count() == before

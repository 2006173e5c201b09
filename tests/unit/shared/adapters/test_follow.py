import threading
import time

import pytest

from shared.adapters import follow
from shared.adapters.follow import Follower, within
from shared.errors import Corrupt, NotReady


def test_before_the_first_value_it_is_not_ready_and_says_why() -> None:
    """The reason of the last failure is what a probe shows."""

    def fail(_: int | None) -> int | None:
        raise Corrupt("bits are wrong")

    with pytest.raises(NotReady, match="bits are wrong"):
        Follower("number", fail, 60).get()
    with pytest.raises(NotReady, match="nothing has been published"):
        Follower[int]("number", lambda held: held, 60).get()


def test_a_failure_keeps_the_old_value_whatever_it_is() -> None:
    """An expected error and an unexpected one alike leave what worked."""
    answers: list[int | Exception] = [1, Corrupt("wrong"), ValueError("odd"), 2]

    def fetch(_: int | None) -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    follower = Follower("number", fetch, 60)
    seen = [follower.get()]
    for _ in range(3):
        follower.refresh()
        seen.append(follower.get())
    assert seen == [1, 1, 1, 2]


def test_a_panic_of_a_library_ends_no_thread() -> None:
    """delta-rs panics with what is no Exception: it is a failure like others; who asks to stop is obeyed."""
    answers: list[BaseException | None] = [None, Panic("lost"), Panic("lost"), None]
    arrived = threading.Event()

    def fetch(held: int | None) -> int:
        if not answers:
            arrived.set()
        elif error := answers.pop(0):
            raise error
        return (held or 0) + 1

    follower = Follower("number", fetch, 0.001)
    assert arrived.wait(10)
    assert follower.get() >= 2
    with pytest.raises(KeyboardInterrupt):
        Follower("number", lambda _: fail(KeyboardInterrupt()), 60)


def test_what_takes_too_long_is_not_waited_for() -> None:
    """Done in time or not, nor does a failure reach who waits; what is late is done in the end."""
    go, late = threading.Event(), threading.Event()
    assert within(10, "quick", lambda: None)
    assert not within(10, "wrong", lambda: fail(Panic("lost")))
    assert not within(0.01, "slow", lambda: (go.wait(10), late.set()))
    go.set()
    assert late.wait(10)


class Panic(BaseException):
    """As pyo3's PanicException."""


def fail(error: BaseException) -> int:
    raise error


def test_it_keeps_up_by_itself() -> None:
    """A new value is held a moment after it is there to fetch."""
    arrived = threading.Event()

    def fetch(held: int | None) -> int:
        if held == 3:
            arrived.set()
        return (held or 0) + 1

    follower = Follower("number", fetch, 0.001)
    assert arrived.wait(10)
    assert follower.get() > 3


def test_what_need_not_be_at_once_holds_nobody_up() -> None:
    """The first fetch is made in the background, soon."""
    fetched = threading.Event()
    go = threading.Event()

    def fetch(_: int | None) -> int:
        assert go.wait(10)
        fetched.set()
        return 1

    follower = Follower("number", fetch, 0.001, wait=0.01)
    assert follower.value is None
    go.set()
    assert fetched.wait(10)


def test_what_there_is_to_begin_with_waits_for_nothing() -> None:
    """The first value is held at once, however long fetching takes, and is replaced as soon as that is done."""
    go, done = threading.Event(), threading.Event()

    def fetch(held: int | None) -> int:
        go.wait(10)
        if held == 2:
            done.set()
        return 2

    follower = Follower("number", fetch, 0.01, 1)
    assert follower.get() == 1
    go.set()
    assert done.wait(10)
    assert follower.get() == 2


def test_who_follows_ends_when_told_and_who_comes_later_goes_on() -> None:
    """No thread outlives what it follows."""
    earlier, later = Count(), Count()
    Follower("earlier", earlier, 0.001)
    assert earlier.has_grown()
    follow.leave()
    Follower("later", later, 0.001)
    assert later.has_grown()
    assert not earlier.has_grown(seconds=0.1)


class Count:
    """What is fetched again and again."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, _: int | None) -> int:
        self.number += 1
        return self.number

    def has_grown(self, seconds: float = 10) -> bool:
        """Wait for the next fetch; say whether it came."""
        before, deadline = self.number, time.monotonic() + seconds
        while self.number == before and time.monotonic() < deadline:
            time.sleep(0.002)
        return self.number > before

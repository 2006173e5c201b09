from itertools import count

from cli.drill.brake import Brake


def brake(busy):
    """One that is asked once a second, on processors that are so busy."""
    return Brake(lambda: busy[0], count().__next__)


def test_on_a_machine_with_room_nobody_is_held_back():
    """However long it is looked at."""
    full = brake([80.0])
    assert {full() for _ in range(100)} == {1.0}


def test_a_busy_machine_gets_fewer_and_fewer_visits_but_never_none():
    """Down to a tenth."""
    full = brake([99.0])
    times = [full() for _ in range(100)]
    assert times == sorted(times)
    assert times[0] < times[-1] == 10


def test_they_come_back_as_the_machine_gets_room():
    """Slower than they went."""
    busy = [99.0]
    full = brake(busy)
    held = [full() for _ in range(10)][-1]
    busy[0] = 50.0
    after = [full() for _ in range(100)]
    assert after[0] < held
    assert after[9] > 1.0 == after[-1]


def test_it_looks_once_a_second():
    """Not at each visit."""
    full = Brake(lambda: 99.0, lambda: 5.0)
    assert {full() for _ in range(100)} == {1.0}

from hypothesis import given
from hypothesis import strategies as st

from infra.local.event_source.offsets import Offsets


def test_only_what_is_settled_is_committed():
    """While the first record is open nothing after it can be committed."""
    offsets = Offsets(5)
    for offset in (5, 6, 9):
        offsets.take(offset)
    offsets.settle(6)
    offsets.settle(9)
    assert (offsets.committable, offsets.n_open) == (5, 1)
    offsets.settle(5)
    assert (offsets.committable, offsets.n_open) == (10, 0)


def test_a_partition_without_records_stays_where_it_is():
    """Nothing taken, nothing to commit."""
    assert Offsets(7).committable == 7


def test_a_group_that_goes_back_takes_records_again():
    """After a rebalance the same offsets may come once more, and count as open until they are settled again."""
    offsets = Offsets(0)
    for offset in (0, 1, 2):
        offsets.take(offset)
    offsets.settle(0)
    for offset in (1, 2):
        offsets.take(offset)
    offsets.settle(2)
    assert offsets.committable == 1


@given(st.sets(st.integers(0, 50), min_size=1), st.randoms(use_true_random=False))
def test_no_open_record_is_ever_below_the_commit(numbers, chance):
    """In whatever order records settle, every record below the committable offset is settled."""
    taken = sorted(numbers)
    offsets = Offsets(taken[0])
    for offset in taken:
        offsets.take(offset)
    open_ = set(taken)
    for offset in chance.sample(taken, len(taken)):
        offsets.settle(offset)
        open_.discard(offset)
        assert all(number >= offsets.committable for number in open_)
    assert offsets.committable == taken[-1] + 1

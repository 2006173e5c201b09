"""What a process keeps of the users it is asked for."""

from functions.score.served import Served
from tests.unit.functions.score.test_core import SERVING


def test_strangers_take_no_room():
    """A million ids that nobody knows are kept nowhere; of those known a bounded number is."""
    served = Served.of(SERVING)
    assert all(served.user(str(user)) is None for user in range(1_000, 3_000))
    assert served._known.cache_info().currsize == 0
    assert served.user("1") is served.user("1")
    assert served._known.cache_info().currsize == 1

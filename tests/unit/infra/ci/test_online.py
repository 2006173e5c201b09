from infra.ci.online import newest_report
from shared import keys
from tests.fakes import MemoryStore


def test_the_newest_report_is_that_of_the_highest_version() -> None:
    """By number, not by name; what else lies there is none."""
    store = MemoryStore()
    assert newest_report(store) is None
    for number in (9, 10):
        store.put_new(keys.online_report(number), f"{number}".encode())
    store.put_new(f"{keys.ONLINE_REPORTS}notes.txt", b"")
    assert newest_report(store) == b"10"

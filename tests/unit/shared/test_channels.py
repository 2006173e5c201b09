import pytest

from shared.channels import Channels
from shared.errors import Conflict
from tests.fakes import MemoryStore


def test_a_new_service_has_an_empty_state_and_keeps_what_is_written() -> None:
    """The first update makes the channel, the next one sees it."""
    channels = Channels(MemoryStore())
    assert channels.get("score-svd") == {}
    channels.update("score-svd", lambda _: {"n": 1})
    channels.update("score-svd", lambda now: {"n": now["n"] + 1})
    assert channels.get("score-svd") == {"n": 2}


def test_a_writer_in_between_is_seen_not_overwritten() -> None:
    """The change runs again on what the other wrote."""
    store = MemoryStore()
    channels = Channels(store)
    channels.update("s", lambda _: {"n": 1})
    seen = []

    def change(now: dict[str, int]) -> dict[str, int]:
        seen.append(now["n"])
        if len(seen) == 1:
            store.put("channels/s.json", b'{"n": 10}')
        return {"n": now["n"] + 1}

    assert channels.update("s", change) == {"n": 11}
    assert seen == [1, 10]


def test_endless_races_end_in_a_conflict() -> None:
    """After five lost races the caller is told to come back."""
    store = MemoryStore()
    channels = Channels(store)

    def race(now: dict[str, int]) -> dict[str, int]:
        store.put("channels/s.json", b'{"n": %d}' % (now.get("n", 0) + 1))
        return {"mine": 1}

    with pytest.raises(Conflict):
        channels.update("s", race)


def test_declining_a_change_leaves_the_state() -> None:
    """None means: leave it as it is."""
    store = MemoryStore()
    assert Channels(store).update("s", lambda _: None) == {}
    assert store.objects == {}


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"\xff"])
def test_a_channel_that_cannot_be_read_counts_as_none_and_is_healed(data: bytes) -> None:
    """Damage never stops the pipeline until somebody repairs it by hand."""
    store = MemoryStore()
    store.put("channels/s.json", data)
    channels = Channels(store)
    assert channels.get("s") == {}
    channels.update("s", lambda now: {"n": 1} if now == {} else None)
    assert channels.get("s") == {"n": 1}

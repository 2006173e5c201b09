import pytest
from pydantic import BaseModel, ConfigDict

from shared import telemetry
from shared.channels import Channels, OfLake
from shared.errors import Conflict, Corrupt
from shared.ports import Tagged
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


DAMAGE = [b"", b"{", b"[1]", b"\xff", b"[" * 100_000]


@pytest.mark.parametrize("data", DAMAGE, ids=lambda data: repr(data[:4]))
def test_a_damaged_channel_is_an_error_and_is_not_written_over(data: bytes) -> None:
    """Who writes a new state from nothing would lose what nobody can find out anew."""
    store = MemoryStore()
    store.put("channels/s.json", data)
    channels = Channels(store)
    with pytest.raises(Corrupt, match="channel of s"):
        channels.get("s")
    with pytest.raises(Corrupt, match="channel of s"):
        channels.update("s", lambda _: {"n": 1})
    assert store.objects == {"channels/s.json": data}


class Counted(BaseModel):
    model_config = ConfigDict(strict=True)

    n: int


@pytest.mark.parametrize("data", [*DAMAGE, b"{}", b'{"n": "x"}', b'{"n": null}'], ids=lambda data: repr(data[:9]))
def test_to_those_who_can_find_it_out_anew_damage_is_no_state_and_is_healed(data: bytes) -> None:
    """Damage never stops the pipeline until somebody repairs it by hand."""
    store = MemoryStore()
    store.put("channels/s.json", data)
    channels = Channels(store)
    assert channels.known("s", Counted) is None
    channels.revise("s", Counted, lambda before: before or Counted(n=1))
    assert channels.known("s", Counted) == Counted(n=1)


class Built(OfLake):
    model_config = ConfigDict(strict=True)

    name: str = ""


def test_the_state_of_the_newest_version_of_the_lake_stands_whoever_is_the_last() -> None:
    """Of the same version the last."""
    channels = Channels(MemoryStore())
    assert channels.reached("s", Built, lambda: 9) is None
    for version, name in ((1, "a"), (3, "b"), (2, "c"), (3, "d")):
        channels.advance("s", Built(lake_version=version, name=name), lambda: 9)
    assert channels.reached("s", Built, lambda: 3) == Built(lake_version=3, name="d")


@pytest.mark.parametrize(
    "data", [b'{"lake_version": 10}', b'{"lake_version": "1"}', *DAMAGE], ids=lambda data: repr(data[:20])
)
def test_a_state_of_a_version_that_is_still_to_come_is_none_and_is_healed(data: bytes) -> None:
    """It would keep out every true one; it is told as damage is."""
    store, told = MemoryStore(), telemetry.CHANNEL_UNREADABLE.labels("s")._value
    store.put("channels/s.json", data)
    channels, before = Channels(store), told.get()
    assert channels.reached("s", Built, lambda: 9) is None
    assert told.get() == before + 1
    channels.advance("s", Built(lake_version=9), lambda: 9)
    assert channels.reached("s", Built, lambda: 9) == Built(lake_version=9)


def test_a_state_is_not_of_a_version_to_come_only_because_the_lake_was_looked_at_before() -> None:
    """Another copy folds, builds and writes between two looks: the lake is asked after the state was read."""
    channels, newest = Channels(store := MemoryStore()), [1]
    channels.advance("s", Built(lake_version=1), lambda: newest[-1])
    get = store.get

    def late(key: str) -> Tagged:
        newest.append(2)
        store.put("channels/s.json", b'{"lake_version": 2}')
        return get(key)

    store.get = late  # type: ignore[method-assign]
    assert channels.reached("s", Built, lambda: newest[-1]) == Built(lake_version=2)
    channels.advance("s", Built(lake_version=1), lambda: newest[-1])
    assert channels.known("s", Built) == Built(lake_version=2)


def test_a_known_state_is_changed_as_it_stands_at_the_moment_of_writing() -> None:
    """Who wrote in between is not overwritten: the change is made again, of theirs."""
    store = MemoryStore()
    channels, seen = Channels(store), list[int | None]()

    def one_more(before: Counted | None) -> Counted:
        seen.append(before and before.n)
        if len(seen) == 1:
            store.put("channels/s.json", b'{"n": 7}')
        return Counted(n=before.n + 1 if before else 1)

    assert channels.revise("s", Counted, one_more) == Counted(n=8)
    assert seen == [None, 7]
    assert channels.revise("s", Counted, lambda _: None) == channels.known("s", Counted) == Counted(n=8)


def test_endless_races_end_in_a_conflict_here_too() -> None:
    """After five lost races the caller is told to come back."""
    store = MemoryStore()
    channels = Channels(store)

    def race(other: Counted | None) -> Counted:
        store.put("channels/s.json", b'{"n": %d}' % (other.n + 1 if other else 0))
        return Counted(n=9)

    with pytest.raises(Conflict):
        channels.revise("s", Counted, race)

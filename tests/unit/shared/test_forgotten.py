"""The list of who asked to be forgotten."""

import pytest

from shared import forgotten, keys, lines
from shared.errors import Conflict
from shared.rows import Row
from tests.fakes import MemoryStore


def row(user_id: str | None, raw: bytes | None = None) -> Row:
    return Row("quarantine" if raw else "account", "movielog", 0, 1, 5, user_id=user_id, raw=raw)


def test_who_is_on_the_list_is_recognised_and_nobody_else() -> None:
    """By rows that name them, and by quarantined ones whose bytes do."""
    store = MemoryStore()
    forgotten.remember(store, "15")
    found = forgotten.read(store)
    assert found.holds(row("15"))
    assert found.holds(row(None, b"2026-11-20T10:00:00,15,GET /rate/m1=99"))
    assert not any(map(found.holds, [row("151"), row("5"), row(None, b"15"), row(None, b"x,1,GET /rate/15=99")]))


def test_an_empty_list_holds_nobody() -> None:
    """And reading it makes nothing."""
    store = MemoryStore()
    assert not forgotten.read(store).holds(row("15"))
    assert store.objects == {}


def test_the_list_holds_no_id() -> None:
    """Names are salted digests, objects are empty; another bucket has another salt."""
    stores = MemoryStore(), MemoryStore()
    for store in stores:
        is_new, name = forgotten.remember(store, "123456789")
        assert is_new
        assert forgotten.remember(store, "123456789") == (False, name)
        assert forgotten.remember(store, "7")[0]
        assert len(store.objects) == 3
        assert not any("123456789" in key or b"123456789" in data for key, data in store.objects.items())
    assert not set(forgotten.listed(stores[0])) & set(forgotten.listed(stores[1]))


def test_of_two_who_make_the_salt_the_first_wins() -> None:
    """The second uses what stands, or its entry would never be recognised."""
    store = MemoryStore()
    put_new = store.put_new

    def raced(key: str, data: bytes) -> None:
        store.put_new = put_new  # type: ignore[method-assign]
        store.objects[keys.SALT] = b"salt of another"
        put_new(key, data)

    store.put_new = raced  # type: ignore[method-assign]
    forgotten.remember(store, "15")
    assert forgotten.read(store).salt == b"salt of another"
    assert forgotten.read(store).holds(row("15"))


def test_what_was_begun_before_somebody_asked_is_not_finished() -> None:
    """It may hold what is theirs; who had asked already was left out, and is no hindrance."""
    store = MemoryStore()
    forgotten.remember(store, "1")
    before = forgotten.read(store)
    forgotten.refuse_if_grown(store, before)
    forgotten.remember(store, "2")
    with pytest.raises(Conflict):
        forgotten.refuse_if_grown(store, before)


@pytest.mark.parametrize(
    ("raw", "owner"),
    [
        (b"2026-11-20T10:00:00,15,GET /rate/m1=99", "15"),
        (b"yesterday, 15 ,GET /rate/m1=5", "15"),
        (b"\xff\xfe,15,x", "15"),
        (b'{"request_id": "r", "user_id": "15"}', "15"),
        (b'{"user_id":15,"movies":[]}', "15"),
        (b'{"movies":[1,15],"user_id":"0"}', None),
        (b"15", None),
        (b"2026-11-20T10:00:00,015,GET /rate/m1=99", None),
        (b"a,\xff,b", None),
        (b"", None),
    ],
)
def test_a_record_that_was_not_understood_may_still_say_whose_it_is(raw: bytes, owner: str | None) -> None:
    """In the second field of a line, or in an event's user_id."""
    assert lines.owner(raw) == owner

from pathlib import Path

import pytest

from shared.adapters.files import DirectoryStore
from shared.errors import Conflict, NotFound


def test_a_folder_is_an_object_store(tmp_path: Path) -> None:
    """It stores, lists, replaces and deletes as a bucket does."""
    store = DirectoryStore(tmp_path)
    store.put("a/1", b"1")
    store.put_new("a/2", b"2")
    store.put_new("a/2", b"2")
    assert store.keys("a/") == ["a/1", "a/2"]
    store.put_if("a/1", b"3", store.get("a/1").tag)
    assert store.get("a/1").data == b"3"
    store.delete(["a/1", "a/1"])
    with pytest.raises(NotFound):
        store.get("a/1")


def test_conditions_are_kept(tmp_path: Path) -> None:
    """A taken name and a stale tag are conflicts."""
    store = DirectoryStore(tmp_path)
    store.put("a", b"1")
    with pytest.raises(Conflict):
        store.put_new("a", b"2")
    with pytest.raises(Conflict):
        store.put_if("a", b"2", "another")

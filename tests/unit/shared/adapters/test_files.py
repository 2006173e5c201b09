from pathlib import Path

import pytest

from shared.adapters.files import DirectoryStore
from shared.errors import Conflict, NotFound


def test_what_is_stored_comes_back(tmp_path: Path) -> None:
    """A folder stores as a bucket does; its own bytes may be stored again, and no half-written file stays."""
    store = DirectoryStore(tmp_path)
    store.put_new("a/1", b"1")
    store.put_new("a/1", b"1")
    assert store.get("a/1").data == b"1"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["1"]
    with pytest.raises(NotFound):
        store.get("a/2")


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    """Other bytes under the same name are a conflict, and the first stay."""
    store = DirectoryStore(tmp_path)
    store.put_new("a", b"1")
    with pytest.raises(Conflict):
        store.put_new("a", b"2")
    assert store.get("a").data == b"1"

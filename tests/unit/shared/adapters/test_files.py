from pathlib import Path

import pytest

from shared.adapters.files import DirectoryStore, replace
from shared.errors import Conflict, NotFound, NotReady


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


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """No part of a file stays, and a folder that is not there is an error that says so."""
    replace(tmp_path / "a", b"1")
    replace(tmp_path / "a", b"2")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"2")]
    with pytest.raises(NotReady, match="nowhere"):
        replace(tmp_path / "nowhere" / "a", b"1")

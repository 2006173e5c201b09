import pytest

from shared import failpoints
from shared.artifacts import ArtifactStore, Manifest, dumps, rewrite
from shared.errors import Conflict, Corrupt, NotFound, NotReady
from tests.fakes import MemoryStore

MANIFEST = Manifest(kind="model", id="v1", created_at="2026-11-23T12:00:00+00:00")


def test_what_is_stored_comes_back_whole() -> None:
    """Files and manifest are what was put, with size and checksum of every file."""
    artifacts = ArtifactStore(MemoryStore())
    artifacts.put("models/svd/v1", {"a": b"123", "b": b""}, MANIFEST)
    found = artifacts.get("models/svd/v1")
    assert found.files == {"a": b"123", "b": b""}
    assert found.manifest.files["a"].size == 3
    assert artifacts.get_file("models/svd/v1", "a") == b"123"
    with pytest.raises(NotFound):
        artifacts.get_file("models/svd/v1", "c")


def test_the_manifest_is_written_last() -> None:
    """A writer that dies on the way leaves nothing that a reader could take for whole."""
    store = MemoryStore()
    order: list[str] = []
    put_new = store.put_new

    def recording(key: str, data: bytes) -> None:
        order.append(key)
        put_new(key, data)

    store.put_new = recording  # type: ignore[method-assign]
    ArtifactStore(store).put("m", {"a": b"1", "b": b"2"}, MANIFEST)
    assert order[-1] == "m/manifest.json"


def test_storing_again_is_harmless_and_the_first_manifest_stands() -> None:
    """A repeated event stores the same files; the story of the first stays."""
    artifacts = ArtifactStore(MemoryStore())
    artifacts.put("m", {"a": b"1"}, MANIFEST)
    later = MANIFEST.model_copy(update={"created_at": "2027-01-01T00:00:00+00:00"})
    assert artifacts.put("m", {"a": b"1"}, later).created_at == MANIFEST.created_at


def test_other_contents_under_a_taken_name_are_refused() -> None:
    """Artifacts are immutable."""
    artifacts = ArtifactStore(MemoryStore())
    artifacts.put("m", {"a": b"1"}, MANIFEST)
    with pytest.raises(Conflict):
        artifacts.put("m", {"a": b"2"}, MANIFEST)
    with pytest.raises(Conflict):
        artifacts.put("m", {"a": b"1", "b": b"2"}, MANIFEST)


@pytest.mark.parametrize("data", [b"12", b"1234", b"124"])
def test_bytes_that_the_manifest_does_not_vouch_for_are_refused(data: bytes) -> None:
    """Shorter, longer, or other bytes are Corrupt."""
    store = MemoryStore()
    ArtifactStore(store).put("m", {"a": b"123"}, MANIFEST)
    store.objects["m/a"] = data
    with pytest.raises(Corrupt):
        ArtifactStore(store).get("m")


@pytest.mark.parametrize("data", [b"", b"{}", b"[1", b'{"kind": "model", "id": 7}'])
def test_a_broken_manifest_is_refused(data: bytes) -> None:
    """A manifest is checked field by field."""
    store = MemoryStore()
    store.objects["m/manifest.json"] = data
    with pytest.raises(Corrupt):
        ArtifactStore(store).get("m")


def test_small_mappings_have_one_form() -> None:
    """The same content gives the same bytes whatever the order, and NaN is no content."""
    assert dumps({"b": 1, "a": 2}) == dumps({"a": 2, "b": 1})
    with pytest.raises(ValueError, match="JSON"):
        dumps({"a": float("nan")})


class Killed(BaseException):
    """Stands for the end of the process."""


def upper(files):
    """Change all files that are not in capitals."""
    return {name: data.upper() for name, data in files.items() if not data.isupper()}


def test_a_rewrite_keeps_the_name_and_counts_itself() -> None:
    """Changed files and the manifest are replaced; the others and the story stay; nothing to change changes nothing."""
    store = MemoryStore()
    ArtifactStore(store).put("m", {"a": b"x", "b": b"Y"}, MANIFEST)
    assert rewrite(store, "m", upper)
    found = ArtifactStore(store).get("m")
    assert found.files == {"a": b"X", "b": b"Y"}
    assert (found.manifest.id, found.manifest.created_at, found.manifest.erased) == ("v1", MANIFEST.created_at, 1)
    before = dict(store.objects)
    assert not rewrite(store, "m", upper)
    assert store.objects == before
    assert sorted(before) == ["m/a", "m/b", "m/manifest.json"]


@pytest.mark.parametrize("place", ["rewrite.before_manifest", "rewrite.before_in_place", "rewrite.in_place"])
def test_a_rewrite_that_was_cut_short_is_finished_by_the_next(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts once, and leaves nothing lying about."""
    store = MemoryStore()
    ArtifactStore(store).put("m", {"a": b"x", "b": b"y"}, MANIFEST)

    def die(name: str) -> None:
        if name == place:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "reach", die)
        with pytest.raises(Killed):
            rewrite(store, "m", upper)
    assert rewrite(store, "m", upper)
    found = ArtifactStore(store).get("m")
    assert (found.files, found.manifest.erased) == ({"a": b"X", "b": b"Y"}, 1)
    assert sorted(store.objects) == ["m/a", "m/b", "m/manifest.json"]


def test_who_reads_in_the_middle_of_a_rewrite_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is damaged, and an event about the artifact must not go to the dead letters; in the end it is whole."""
    store = MemoryStore()
    artifacts = ArtifactStore(store)
    artifacts.put("m", {"a": b"x", "b": b"y"}, MANIFEST)
    states: list[str] = []

    def read(place: str) -> None:
        try:
            states.append("".join(sorted(data.decode() for data in artifacts.get("m").files.values())))
        except NotReady:
            states.append("NotReady")

    monkeypatch.setattr(failpoints, "reach", read)
    rewrite(store, "m", upper)
    assert states == ["xy", "xy", "NotReady", "NotReady", "XY"]


def test_who_has_read_the_manifest_of_before_is_told_to_come_again() -> None:
    """The rewrite began and ended between the manifest and the files."""
    store = MemoryStore()
    artifacts = ArtifactStore(store)
    before = artifacts.put("m", {"a": b"x"}, MANIFEST)
    rewrite(store, "m", upper)
    manifests = iter([before, artifacts.manifest("m")])
    late = type("Late", (ArtifactStore,), {"manifest": lambda *_: next(manifests)})(store)
    with pytest.raises(NotReady):
        late.get("m")


def test_a_damaged_artifact_is_not_rewritten() -> None:
    """A rewrite would vouch for the damage."""
    store = MemoryStore()
    ArtifactStore(store).put("m", {"a": b"x"}, MANIFEST)
    store.put("m/a", b"z")
    with pytest.raises(Corrupt):
        rewrite(store, "m", upper)

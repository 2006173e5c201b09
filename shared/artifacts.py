"""Immutable artifacts: some files and a manifest that says what they are and how they came to be."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from shared import failpoints
from shared.errors import Conflict, Corrupt, NotFound, NotReady
from shared.ports import ObjectStore, WriteOnceStore

MANIFEST: Final = "manifest.json"
_NEXT: Final = "next"
_LIBRARIES: Final = ("deltalake", "numba", "numpy", "pyarrow", "scikit-surprise", "scipy")


class FileFacts(BaseModel):
    """What a file must be: size in bytes, and SHA-256 in hexadecimal."""

    model_config = ConfigDict(frozen=True)

    size: int
    sha256: str


class Manifest(BaseModel):
    """The story of an artifact: what made it, from what, and the checksum of every file.

    `lake_version` was the lake's newest at `lake_read_at`, or came after it; times are ISO 8601.
    `erased` counts the users who were taken out of it since, because they asked to be forgotten. `revision` is that of
    the code which fitted a model; it is raised when the same ratings would give another.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    kind: Literal["matrix", "model", "report"]
    id: str
    created_at: str
    made_from: str | None = None
    warmed_from: str | None = None
    git_commit: str = "unknown"
    image_digest: str = "unknown"
    python: str = "unknown"
    libraries: dict[str, str] = {}
    parameters: dict[str, Any] = {}
    revision: int | None = None
    lake_version: int | None = None
    lake_read_at: str | None = None
    offsets: dict[str, list[int]] = {}
    metrics: dict[str, Any] = {}
    erased: int = 0
    files: dict[str, FileFacts] = {}


def libraries() -> dict[str, str]:
    """Return the versions of the libraries that shape an artifact, those that are installed."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class Artifact:
    """A manifest and the files it vouches for."""

    manifest: Manifest
    files: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True)
class ArtifactStore:
    """Artifacts in an object store: files first, manifest last, so that what has a manifest is whole."""

    objects: WriteOnceStore

    def put(self, prefix: str, files: Mapping[str, bytes], manifest: Manifest) -> Manifest:
        """Store an artifact once; of several writers the first wins, and all get the manifest that stands.

        Raises: Conflict if the name stands with other contents; NotReady.
        """
        facts = {name: FileFacts(size=len(data), sha256=_sha256(data)) for name, data in files.items()}
        whole = manifest.model_copy(update={"files": facts})
        for name, data in files.items():
            self.objects.put_new(f"{prefix}/{name}", data)
        try:
            self.objects.put_new(f"{prefix}/{MANIFEST}", whole.model_dump_json(indent=1).encode())
        except Conflict:
            standing = self.manifest(prefix)
            if standing.files != facts:
                raise
            return standing
        return whole

    def manifest(self, prefix: str) -> Manifest:
        """Return the manifest. Raises: NotFound; Corrupt if it is not one."""
        data = self.objects.get(f"{prefix}/{MANIFEST}").data
        try:
            return Manifest.model_validate_json(data)
        except ValidationError as error:
            raise Corrupt(f"{prefix}/{MANIFEST}: {error.error_count()} fields are not a manifest's") from None

    def get(self, prefix: str, only: Collection[str] | None = None) -> Artifact:
        """Return the artifact with every file checked, or with those alone.

        Raises: NotFound; Corrupt; NotReady, also while the artifact is rewritten, see `rewrite`.
        """
        manifest = self.manifest(prefix)
        names = manifest.files if only is None else only
        return Artifact(manifest, {name: self._checked(prefix, name, manifest) for name in names})

    def get_file(self, prefix: str, name: str) -> bytes:
        """Return one file of an artifact, checked. Raises: NotFound, Corrupt, NotReady."""
        return self.get(prefix, [name]).files[name]

    def _checked(self, prefix: str, name: str, manifest: Manifest) -> bytes:
        if name not in manifest.files:
            raise NotFound(f"{prefix}/{name}")
        data = self.objects.get(f"{prefix}/{name}").data
        facts = manifest.files[name]
        if len(data) != facts.size or _sha256(data) != facts.sha256:
            if self._is_rewritten(prefix, manifest):
                raise NotReady(f"{prefix} is being rewritten")
            raise Corrupt(f"{prefix}/{name}: not the bytes that the manifest vouches for")
        return data

    def _is_rewritten(self, prefix: str, manifest: Manifest) -> bool:
        """Say whether a rewrite is under way, or has ended since the manifest was read."""
        try:
            self.objects.get(f"{prefix}/{_NEXT}/{MANIFEST}")
        except NotFound:
            return self.manifest(prefix) != manifest
        return True


def rewrite(objects: ObjectStore, prefix: str, change: Callable[[Mapping[str, bytes]], Mapping[str, bytes]]) -> bool:
    """Replace the files that `change` returns, made from all of an artifact's; say whether there were any.

    Artifacts never change but for this: somebody who asked to be forgotten is taken out (docs/decisions/0011). The name
    stays, the manifest counts it. New files and then their manifest are stored in `next/`, and from there put in place:
    a rewrite that was cut short is finished by the next one. In between, readers find it NotReady.
    Raises: NotFound, Corrupt, NotReady.
    """
    finished = _put_in_place(objects, prefix)
    artifact = ArtifactStore(objects).get(prefix)
    changed = change(artifact.files)
    if not changed:
        return finished
    facts = {name: FileFacts(size=len(data), sha256=_sha256(data)) for name, data in changed.items()}
    manifest = artifact.manifest.model_copy(
        update={"files": {**artifact.manifest.files, **facts}, "erased": artifact.manifest.erased + 1}
    )
    for name, data in changed.items():
        objects.put(f"{prefix}/{_NEXT}/{name}", data)
    failpoints.reach("rewrite.before_manifest")
    objects.put(f"{prefix}/{_NEXT}/{MANIFEST}", manifest.model_dump_json(indent=1).encode())
    failpoints.reach("rewrite.before_in_place")
    return _put_in_place(objects, prefix)


def _put_in_place(objects: ObjectStore, prefix: str) -> bool:
    """Finish a rewrite whose new manifest is stored, or clear away what there is of one without; say which."""
    coming = objects.keys(f"{prefix}/{_NEXT}/")
    last = f"{prefix}/{_NEXT}/{MANIFEST}"
    whole = last in coming
    if whole:
        for key in [*(key for key in coming if key != last), last]:
            objects.put(f"{prefix}/{key.rsplit('/', 1)[1]}", objects.get(key).data)
            failpoints.reach("rewrite.in_place")
    objects.delete(coming)
    return whole


def dumps(value: Mapping[str, Any]) -> bytes:
    """Return a small mapping as JSON that is the same for the same content."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

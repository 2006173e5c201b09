"""Immutable artifacts: some files and a manifest that says what they are and how they came to be.

Where a key is given, the manifest of a model is signed as it is stored, and one that is not, or not truly, is refused
(docs/decisions/0020).
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared import failpoints, keys
from shared.errors import BadInput, Conflict, Corrupt, NotFound, NotReady
from shared.ports import ObjectStore, WriteOnceStore
from shared.signing import Signer, Verifier

MANIFEST: Final = "manifest.json"
_NEXT: Final = "next"
_LIBRARIES: Final = ("deltalake", "numba", "numpy", "pyarrow", "scikit-surprise", "scipy")


class FileFacts(BaseModel):
    """What a file must be: size in bytes, and SHA-256 in hexadecimal."""

    model_config = ConfigDict(frozen=True)

    size: int
    sha256: str


LakeVersion = Annotated[int, Field(ge=-1, le=10**9)]
"""A version of the lake, -1 before there is one. A commit a second for thirty years comes to no higher one."""


class Manifest(BaseModel):
    """The story of an artifact: what made it, from what, and the checksum of every file.

    `lake_version` was the lake's newest at `lake_read_at`, or came after it; times are ISO 8601.
    `processor` is what a trainer's loops were compiled for, and BLAS's kernels are for: others round otherwise.
    `erased` counts the users who were taken out of it since, because they asked to be forgotten. `revision` is that of
    the code which fitted a model; it is raised when the same ratings would give another.
    `signature` is over all the rest, in which `signed_as` says where it was stored.
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
    processor: dict[str, str] = {}
    libraries: dict[str, str] = {}
    parameters: dict[str, Any] = {}
    revision: int | None = None
    lake_version: LakeVersion | None = None
    lake_read_at: str | None = None
    offsets: dict[str, list[int]] = {}
    metrics: dict[str, Any] = {}
    erased: int = 0
    files: dict[str, FileFacts] = {}
    signed_as: str | None = None
    signature: str | None = None

    def signed(self, prefix: str, signer: Signer) -> "Manifest":
        """Return it as somebody vouches for it there."""
        told = self.model_copy(update={"signed_as": prefix, "signature": None})
        return told.model_copy(update={"signature": signer.sign(signed_part(told.model_dump_json().encode()))})


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
    """Artifacts in an object store: files first, manifest last, so that what has a manifest is whole.

    `signer` vouches for models that are stored, and `verifier` says whose models are taken; None: for none, and all.
    """

    objects: WriteOnceStore
    signer: Signer | None = field(default=None, repr=False)
    verifier: Verifier | None = field(default=None, repr=False)

    def put(self, prefix: str, files: Mapping[str, bytes], manifest: Manifest) -> Manifest:
        """Store an artifact once; of several writers the first wins, and all get the manifest that stands.

        Raises: Conflict if the name stands with other contents; NotReady.
        """
        facts = {name: FileFacts(size=len(data), sha256=_sha256(data)) for name, data in files.items()}
        whole = manifest.model_copy(update={"files": facts})
        if self.signer and _is_signed(prefix):
            whole = whole.signed(prefix, self.signer)
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
        """Return the manifest. Raises: NotFound; Corrupt if it is not one, or nobody who is trusted vouches for it."""
        data = self.objects.get(f"{prefix}/{MANIFEST}").data
        try:
            manifest = Manifest.model_validate_json(data)
        except ValidationError as error:
            raise Corrupt(f"{prefix}/{MANIFEST}: {error.error_count()} fields are not a manifest's") from None
        if self.verifier and _is_signed(prefix):
            _refuse_unless_signed(prefix, data, manifest, self.verifier)
        return manifest

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


def rewrite(
    objects: ObjectStore,
    prefix: str,
    change: Callable[[Mapping[str, bytes]], Mapping[str, bytes]],
    signer: Signer | None = None,
) -> bool:
    """Replace the files that `change` returns, made from all of an artifact's; say whether there were any.

    Artifacts never change but for this: somebody who asked to be forgotten is taken out (docs/decisions/0011). The name
    stays, the manifest counts it. New files and then their manifest are stored in `next/`, and from there put in place:
    a rewrite that was cut short is finished by the next one. In between, readers find it NotReady. What was signed is
    signed anew, what was not stays so: nobody gets a signature by way of this.
    Raises: NotFound, Corrupt, NotReady; BadInput if it is signed and nobody is there to sign.
    """
    finished = _put_in_place(objects, prefix)
    artifact = ArtifactStore(objects).get(prefix)
    changed = change(artifact.files)
    if not changed:
        return finished
    is_signed = artifact.manifest.signature is not None
    if is_signed and signer is None:
        raise BadInput(f"{prefix} is signed, and must be anew: SIGNING_KEY_FILE is needed for that")
    facts = {name: FileFacts(size=len(data), sha256=_sha256(data)) for name, data in changed.items()}
    manifest = artifact.manifest.model_copy(
        update={"files": {**artifact.manifest.files, **facts}, "erased": artifact.manifest.erased + 1}
    )
    if is_signed and signer:
        ArtifactStore(objects, verifier=signer.verifier).manifest(prefix)
        manifest = manifest.signed(prefix, signer)
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


def _is_signed(prefix: str) -> bool:
    """Say whether what is stored there is signed where there are keys: models are, wherever else a manifest stands."""
    return prefix.startswith(keys.MODELS)


def _refuse_unless_signed(prefix: str, data: bytes, manifest: Manifest, verifier: Verifier) -> None:
    """Raise Corrupt unless somebody who is trusted vouches for this manifest, and in this place."""
    if manifest.signature is None:
        raise Corrupt(f"{prefix}: nobody signed it, and only signed models are taken here")
    try:
        verifier.check(signed_part(data), manifest.signature)  # of the bytes that the manifest was just read from
    except Corrupt as error:
        raise Corrupt(f"{prefix}: {error}") from None
    if manifest.signed_as != prefix:
        raise Corrupt(f"{prefix}: it is {manifest.signed_as}, under another name")


def signed_part(document: bytes) -> bytes:
    """Return what is signed of a document: all that its JSON says but the signature, the same whoever wrote it down.

    It is made from what is stored, not from what was read of it: fields that come later change nothing in it.
    Raises: Corrupt if two readers may understand it differently.
    """
    try:
        told = json.loads(document, object_pairs_hook=_once)
        return dumps({name: value for name, value in told.items() if name != "signature" and value is not None})
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"its JSON cannot be signed: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object. Raises: ValueError if a name stands twice in it."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in it")
    return found


def dumps(value: Mapping[str, Any]) -> bytes:
    """Return a small mapping as JSON that is the same for the same content."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

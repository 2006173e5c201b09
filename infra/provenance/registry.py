"""A clone of a git repository in which models are registered: tags `svd@v1.2.0` name them, `svd#prod#3` who is live.

A tag stands at a commit that holds the model's manifest at `models/<algorithm>/manifest.json`. Tags are made by GTO,
and never moved: the stage is that of its tag with the highest number. Nothing is seen by others before `publish`.
"""

import os
import re
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import ValidationError
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random

from infra.provenance import tools
from infra.provenance.git import git, identity, push, text
from infra.provenance.versions import FIRST, Version, changed
from shared.artifacts import MANIFEST, Manifest
from shared.errors import Conflict, Corrupt, NotReady
from shared.events import Algorithm

STAGE: Final = "prod"
_CHANGE: Final = re.compile(r"change (\d+)\b")
_CLOCKS_DIFFER: Final = 60
_TRIES: Final = 5
_TAGS: Final = "--format=%(refname:strip=2)%09%(objectname)%09%(*objectname)%09%(contents:subject)"

again_if_refused: Final = retry(
    retry=retry_if_exception_type(Conflict), stop=stop_after_attempt(_TRIES), wait=wait_random(0, 1), reraise=True
)
"""Decorates what clones, tags and publishes: of two that race one is refused, clones again, and adds the rest."""


def manifest_path(algorithm: str) -> str:
    """Return where the manifest of an algorithm's model is in a commit."""
    return f"models/{algorithm}/{MANIFEST}"


class Assignment(NamedTuple):
    """The version that is in the stage, and the number of the service's change that put it there, -1 if none did."""

    version: Version
    change: int


@dataclass(frozen=True)
class Known:
    """What is registered of an algorithm."""

    models: Mapping[Version, Manifest]
    prod: Assignment | None

    def version_of(self, model_id: str) -> Version | None:
        """Return a model's version, None if it is not registered."""
        return next((version for version, manifest in self.models.items() if manifest.id == model_id), None)

    def next(self, manifest: Manifest) -> Version:
        """Return the version for a model that comes after those that are registered."""
        if not self.models:
            return FIRST
        last = max(self.models)
        return last.after(changed(self.models[last], manifest))

    def with_model(self, version: Version, manifest: Manifest) -> "Known":
        """Return this with a model more."""
        return Known({**self.models, version: manifest}, self.prod)


@dataclass
class Registry:
    """A clone in a folder, and the tags that were made in it and are not published yet."""

    folder: Path
    tags: list[str] = field(default_factory=list)

    def known(self, algorithm: Algorithm) -> Known:
        """Return what is registered of an algorithm. Raises: Corrupt if a tag stands at a commit without a manifest."""
        versions: dict[Version, str] = {}
        stages: dict[int, tuple[str, str]] = {}
        for line in text("for-each-ref", _TAGS, "refs/tags", cwd=self.folder).splitlines():
            name, thing, commit, subject = line.split("\t", 3)
            of_version, of_stage = f"{algorithm}@", f"{algorithm}#{STAGE}#"
            if name.startswith(of_version) and (version := Version.parse(name.removeprefix(of_version))):
                versions[version] = commit or thing
            elif name.startswith(of_stage) and (number := name.removeprefix(of_stage)).isdecimal():
                stages[int(number)] = (commit or thing, subject)
        return Known(self._manifests(algorithm, versions), _latest(stages, versions))

    def write(self, files: Mapping[str, bytes], message: str, at: datetime) -> str:
        """Commit files, at a moment of the past, and return the commit; without a change too."""
        for name, data in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        git("add", "--force", "--", *files, cwd=self.folder)
        git(
            "commit",
            "--quiet",
            "--allow-empty",
            "--no-verify",
            f"--date={at.isoformat()}",
            "-m",
            message,
            cwd=self.folder,
        )
        return text("rev-parse", "HEAD", cwd=self.folder)

    def register(self, algorithm: Algorithm, version: Version, commit: str, message: str) -> None:
        """Tag a commit as a version."""
        self._gto("register", algorithm, commit, "--version", str(version), "--message", message)
        self.tags.append(f"{algorithm}@{version}")

    def assign(self, algorithm: Algorithm, version: Version, message: str) -> None:
        """Put a version into the stage, whichever was there. Raises: NotReady if this clock is behind another's."""
        self._wait_until_later(algorithm)
        before = set(text("tag", "--list", f"{algorithm}#*", cwd=self.folder).splitlines())
        self._gto("assign", algorithm, "--version", str(version), "--stage", STAGE, "--message", message, "--force")
        self.tags += set(text("tag", "--list", f"{algorithm}#*", cwd=self.folder).splitlines()) - before

    def _wait_until_later(self, algorithm: Algorithm) -> None:
        """Return once a tag made now has a later second than the last one of the stage, as GTO goes by."""
        newest = ("--sort=-taggerdate", "--count=1", "--format=%(taggerdate:unix)")
        last = text("for-each-ref", *newest, f"refs/tags/{algorithm}#{STAGE}#*", cwd=self.folder)
        seconds = int(last or 0) + 1 - time.time()
        if seconds > _CLOCKS_DIFFER:
            raise NotReady(f"this clock is {seconds:.0f} s behind the one by which the last tag of {STAGE} was made")
        time.sleep(max(seconds, 0))

    def publish(self, to: str, branch: str | None) -> None:
        """Push the tags, with what they stand at, and the branch, all or nothing. Raises: Conflict."""
        heads = [f"HEAD:refs/heads/{branch}"] if branch else []
        push(*heads, *(f"refs/tags/{tag}" for tag in self.tags), to=to, cwd=self.folder)

    def _gto(self, *arguments: str) -> None:
        tools.run("gto", *arguments, cwd=self.folder, environment=identity(os.environ))

    def _manifests(self, algorithm: Algorithm, versions: Mapping[Version, str]) -> dict[Version, Manifest]:
        asked = "".join(f"{commit}:{manifest_path(algorithm)}\n" for commit in versions.values())
        answer = git("cat-file", "--batch", cwd=self.folder, given=asked.encode())
        found, at = {}, 0
        for version in versions:
            line = answer[at : answer.index(b"\n", at)]
            at += len(line) + 1
            size = int(line.rpartition(b" ")[2]) if not line.endswith(b" missing") else -1
            try:
                found[version] = Manifest.model_validate_json(answer[at : at + max(size, 0)])
            except ValidationError:
                raise Corrupt(f"{algorithm}@{version} has no manifest at {manifest_path(algorithm)}") from None
            at += size + 1
        return found


def _latest(stages: Mapping[int, tuple[str, str]], versions: Mapping[Version, str]) -> Assignment | None:
    if not stages:
        return None
    commit, subject = stages[max(stages)]
    version = next((version for version, at in versions.items() if at == commit), None)
    change = _CHANGE.search(subject)
    return Assignment(version, int(change[1]) if change else -1) if version else None


@contextmanager
def cloned(source: str, branch: str) -> Iterator[Registry]:
    """Clone a repository for the length of a block, at a branch; one that is new begins empty. Raises: NotReady."""
    with tempfile.TemporaryDirectory(prefix="marquee-registry-") as name:
        folder = Path(name) / "clone"
        git("clone", "--quiet", "--no-checkout", "--", source, str(folder), cwd=Path(name))
        there = text("ls-remote", "--heads", "origin", f"refs/heads/{branch}", cwd=folder)
        if there:
            git("checkout", "--quiet", "-B", branch, f"origin/{branch}", cwd=folder)
        else:
            git("switch", "--quiet", "--orphan", branch, cwd=folder)
        yield Registry(folder)


@contextmanager
def beside(root: Path, tags_of: str) -> Iterator[Registry]:
    """Clone a checkout for the length of a block, at its commit, with another repository's tags. Raises: NotReady."""
    with tempfile.TemporaryDirectory(prefix="marquee-registry-") as name:
        folder = Path(name) / "clone"
        git("clone", "--quiet", "--shared", "--no-tags", "--no-checkout", str(root), str(folder), cwd=root)
        git("fetch", "--quiet", tags_of, "+refs/tags/*:refs/tags/*", cwd=folder)
        git("checkout", "--quiet", "--detach", text("rev-parse", "HEAD", cwd=root), cwd=folder)
        yield Registry(folder)


def has_live(algorithm: Algorithm, repository: str) -> bool:
    """Say whether a model of an algorithm is in the stage. Raises: NotReady."""
    return bool(text("ls-remote", "--tags", repository, f"refs/tags/{algorithm}#{STAGE}#*", cwd=Path.cwd()))


def uncommitted(root: Path, but: Collection[str]) -> list[str]:
    """Return the files of a checkout that differ from its commit, but for those."""
    lines = git("status", "--porcelain", "-z", "--untracked-files=no", cwd=root).decode().split("\0")
    return [line[3:] for line in lines if line and line[3:] not in but]

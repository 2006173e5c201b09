"""What builds images: docker where its engine answers, else Debian's buildah as root, without a registry."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Literal, Protocol

from infra.images import commands
from infra.images.debian import file_system
from infra.local.machine import ROOT
from shared.errors import BadInput

Name = Literal["auto", "buildah", "docker"]

_LAST_LINES: Final = 15


class Engine(Protocol):
    """Builds an image, writes it to a file, pushes it. Every method raises BadInput if its command fails."""

    @property
    def base(self) -> str:
        """The image to build on if none is chosen; empty for the Dockerfile's own."""

    def build(self, target: str, tag: str, arguments: Mapping[str, str], epoch: int) -> None:
        """Build a target of the Dockerfile."""

    def save(self, tag: str, tar: Path) -> None:
        """Write an image as a docker-archive."""

    def push(self, tag: str, destination: str) -> str:
        """Push an image to a registry, and return its digest there."""

    def layers(self, image: str) -> list[str]:
        """Return the digests of an image's layers, the lowest first."""


class Docker:
    """docker, with its engine."""

    base = ""

    def __init__(self, log: Path) -> None:
        """Write what it says to `log`."""
        self._log = log

    def build(self, target: str, tag: str, arguments: Mapping[str, str], epoch: int) -> None:
        """Build by BuildKit."""
        run(commands.docker_build(target, tag, arguments, epoch), self._log)

    def save(self, tag: str, tar: Path) -> None:
        """Save."""
        run(["docker", "save", "--output", str(tar), tag], self._log)

    def push(self, tag: str, destination: str) -> str:
        """Push, and ask the engine for the digest that the registry gave it."""
        run(["docker", "tag", tag, destination], self._log)
        run(["docker", "push", destination], self._log)
        name = destination.rpartition(":")[0]
        known: list[str] = json.loads(run(_inspect(destination, "{{json .RepoDigests}}"), self._log))
        return next(each.partition("@")[2] for each in known if each.startswith(f"{name}@"))

    def layers(self, image: str) -> list[str]:
        """Inspect."""
        found: list[str] = json.loads(run(_inspect(image, "{{json .RootFS.Layers}}"), self._log))
        return found


class Buildah:
    """buildah, as root."""

    base = commands.BASE

    def __init__(self, log: Path) -> None:
        """Write what it says to `log`."""
        self._log = log

    def build(self, target: str, tag: str, arguments: Mapping[str, str], epoch: int) -> None:
        """Build in a chroot; the local base is made first, if it is wanted and not there."""
        local = arguments.get("BASE_IMAGE") == commands.BASE
        if local and not run(["buildah", "images", "--quiet", "--filter", f"reference={commands.BASE}"], self._log):
            self._make_base()
        text = commands.stamped((ROOT / commands.DOCKERFILE).read_text(), arguments)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "Dockerfile"
            file.write_text(text)
            run(commands.buildah_build(str(file), target, tag, arguments, epoch, pull=not local), self._log)

    def save(self, tag: str, tar: Path) -> None:
        """Save, in place of an older file."""
        tar.unlink(missing_ok=True)  # buildah adds to an archive that is there
        run(commands.buildah_save(tag, str(tar)), self._log)

    def push(self, tag: str, destination: str) -> str:
        """Push."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "digest"
            run(commands.buildah_push(tag, destination, str(file)), self._log)
            return file.read_text().strip()

    def layers(self, image: str) -> list[str]:
        """Inspect."""
        described = json.loads(run(["buildah", "inspect", "--type", "image", image], self._log))
        found: list[str] = described["OCIv1"]["rootfs"]["diff_ids"]
        return found

    def _make_base(self) -> None:
        """Make the base: the same packages make the same, for whichever commit."""
        with tempfile.TemporaryDirectory(prefix="marquee-base-") as name:
            file_system(Path(name), partial(run, log=self._log))
            run(commands.compile_base(name), self._log)
            container = run(["buildah", "from", "scratch"], self._log).strip()
            try:
                run(["buildah", "add", "--quiet", container, name, "/"], self._log)
                run(["buildah", "commit", "--quiet", "--timestamp", "0", container, commands.BASE], self._log)
            finally:
                run(["buildah", "rm", container], self._log)


def engine(name: Name, log: Path) -> Engine:
    """Return what to build with. Raises: BadInput saying what to install."""
    if name == "docker" or (name == "auto" and _docker_answers()):
        if not _docker_answers():
            raise BadInput("no docker engine answers; see `docker info`, or use --engine buildah")
        return Docker(log)
    missing = [tool for tool in ("buildah", "debootstrap") if shutil.which(tool) is None]
    if missing:
        raise BadInput(
            f"no docker engine answers, and {' and '.join(missing)} cannot be found; "
            "on Debian: apt-get install --no-install-recommends buildah debootstrap"
        )
    if os.geteuid() != 0:
        raise BadInput("buildah's chroot isolation needs root; run this as root, or where a docker engine answers")
    return Buildah(log)


def run(command: Sequence[str], log: Path) -> str:
    """Run a command, write what it says to `log`, return its output. Raises: BadInput with its last lines."""
    with log.open("a") as errors:
        errors.write(f"$ {' '.join(command)}\n")
        errors.flush()
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT)
        errors.write(done.stdout)
    if done.returncode:
        said = "\n".join(log.read_text(errors="replace").splitlines()[-_LAST_LINES:])
        raise BadInput(f"{command[0]} {command[1]} failed with status {done.returncode}; the end of {log}:\n{said}")
    return done.stdout


def _docker_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True).returncode == 0


def _inspect(image: str, form: str) -> list[str]:
    return ["docker", "image", "inspect", "--format", form, image]

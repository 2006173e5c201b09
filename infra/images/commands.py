"""The commands of the engines that build images. Pure: what is wanted in, arguments out."""

from collections.abc import Mapping
from typing import Final

DOCKERFILE: Final = "infra/images/Dockerfile"
BASE: Final = "localhost/marquee/base:bookworm"
"""The base that is made where no registry is asked."""

_CERTIFICATES: Final = "/etc/ssl/certs"
_LOCAL: Final = ("localhost", "127.0.0.1", "[::1]")

Command = list[str]


def docker_build(target: str, tag: str, arguments: Mapping[str, str], epoch: int) -> Command:
    """Return how docker builds a target of the Dockerfile."""
    given = _arguments({**arguments, "SOURCE_DATE_EPOCH": str(epoch)})
    return ["docker", "build", "--file", DOCKERFILE, "--target", target, "--tag", tag, *given, "."]


def buildah_build(file: str, target: str, tag: str, arguments: Mapping[str, str], epoch: int, *, pull: bool) -> Command:
    """Return how buildah builds a target as root, without an engine; a build trusts whom this machine trusts."""
    how = ["--layers", "--isolation", "chroot", "--timestamp", str(epoch), "--format", "oci"]
    trust = ["--volume", f"{_CERTIFICATES}:{_CERTIFICATES}:ro"]
    policy = [] if pull else ["--pull-never"]
    what = ["--file", file, "--target", target, "--tag", tag, *_arguments(arguments)]
    return ["buildah", "build", *how, *trust, *policy, *what, "."]


def stamped(dockerfile: str, arguments: Mapping[str, str]) -> str:
    """Return a Dockerfile that names its arguments' values.

    buildah's cache goes by the text of a line: it would take one that says ${GIT_COMMIT} for an earlier commit's.
    """
    for name, value in arguments.items():
        dockerfile = dockerfile.replace(f"${{{name}}}", value)
    return dockerfile


def buildah_save(tag: str, tar: str) -> Command:
    """Return how buildah writes an image as a docker-archive."""
    return ["buildah", "push", "--quiet", tag, f"docker-archive:{tar}:{tag}"]


def buildah_push(tag: str, destination: str, digest_file: str) -> Command:
    """Return how buildah pushes an image to a registry; one on this machine speaks http."""
    local = destination.split("/")[0].rsplit(":", 1)[0] in _LOCAL
    insecure = ["--tls-verify=false"] if local else []
    return ["buildah", "push", "--quiet", *insecure, "--digestfile", digest_file, tag, f"docker://{destination}"]


def compile_base(folder: str) -> Command:
    """Return how the base's Python is compiled anew, for its files get other times than those it was compiled with."""
    return ["chroot", folder, "python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "/usr/lib"]


def destination(registry: str, target: str, commit: str) -> str:
    """Return what an image is called in a registry."""
    return f"{registry.rstrip('/')}/marquee/{target}:{commit[:12]}{'-dirty' if commit.endswith('-dirty') else ''}"


def _arguments(arguments: Mapping[str, str]) -> Command:
    return [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]

"""Go modules: where their files are, and a module from which Kubernetes can be built outside its repository."""

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from infra.cluster.shell import run
from infra.go import module as downloaded
from shared.errors import BadInput

LINK: Final = ("-trimpath", "-ldflags=-s -w")
STATIC: Final = {"CGO_ENABLED": "0"}


def folder(module: str, version: str) -> Path:
    """Return the folder of a module's files, in Go's own cache. Raises: BadInput, NotReady."""
    return downloaded(module, f"v{version}")


def described(module: Path) -> dict[str, Any]:
    """Return what a module's go.mod says, as `go mod edit -json` prints it. Raises: NotReady."""
    said: dict[str, Any] = json.loads(run("go", "mod", "edit", "-json", module / "go.mod"))
    return said


def required(described: Mapping[str, Any], path: str) -> str:
    """Return which version of a module another one requires. Raises: BadInput if it requires none."""
    for each in described["Require"]:
        if each["Path"] == path:
            return str(each["Version"]).removeprefix("v")
    raise BadInput(f"{described['Module']['Path']} does not require {path}")


def install(module: str, version: str, commands: Sequence[str], target: Path) -> None:
    """Compile commands of one module, statically linked, into a folder. Raises: NotReady with the compiler's words.

    They are built in a copy of the module: `go install MODULE@VERSION` asks for the list of all its versions, too,
    which a proxy need not have.
    """
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name, "module")
        shutil.copytree(folder(module, version), copy, ignore=shutil.ignore_patterns("vendor"), symlinks=True)
        run("chmod", "-R", "u+w", copy)
        packages = [f".{command}" for command in commands]
        run("go", "build", "-mod=mod", *LINK, "-o", f"{target}/", *packages, folder=copy, environment=STATIC)


def wrapper(kubernetes: Mapping[str, Any], version: str) -> str:
    """Return the go.mod of a module that builds Kubernetes.

    k8s.io/kubernetes replaces its staging modules by paths that exist in its repository only. The same modules are
    published, version 1.x.y as 0.x.y, so this module points each replacement there.
    """
    staged = [each["Old"]["Path"] for each in kubernetes["Replace"] if each["New"]["Path"].startswith("./staging/")]
    replaced = "\n".join(f"\t{path} => {path} v0.{version.removeprefix('1.')}" for path in staged)
    return (
        f"module cluster\n\ngo {kubernetes['Go']}\n\nrequire k8s.io/kubernetes v{version}\n\nreplace (\n{replaced}\n)\n"
    )


def tools(packages: Sequence[str]) -> str:
    """Return a Go file that imports commands, so that `go mod tidy` keeps what they need."""
    return "//go:build tools\n\npackage tools\n\nimport (\n" + "".join(f'\t_ "{each}"\n' for each in packages) + ")\n"

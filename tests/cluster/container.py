"""A container without an engine: an image's file system, read-only, in namespaces of its own."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

_START = """
set -e
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"
mount -t tmpfs -o size=64m,mode=1777 tmpfs "$1/tmp" && mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev"
ip link set lo up
root=$1 user=$2
shift 2
exec chroot --userspec="$user" --groups= "$root" /usr/bin/env -i "$@"
"""

_ASK = """
import sys, urllib.request, urllib.error
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=5).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


class Container(NamedTuple):
    """A running container: its first process, as this machine numbers it, and who waits for that one to end."""

    pid: int
    process: "subprocess.Popen[str]"

    def status(self, path: str) -> int:
        """Return how it answers on its port; 0 if it does not yet."""
        ask = [
            "nsenter",
            "--target",
            str(self.pid),
            "--net",
            sys.executable,
            "-c",
            _ASK,
            f"http://127.0.0.1:8080{path}",
        ]
        done = subprocess.run(ask, capture_output=True, text=True)
        return int(done.stdout) if done.returncode == 0 else 0

    def seconds_until(self, path: str, status: int) -> float:
        """Return after how long it answers so. Raises: AssertionError with all that it said if it never does."""
        started = time.monotonic()
        while self.status(path) != status:
            if self.process.poll() is not None or time.monotonic() - started > 60:
                self.process.kill()
                raise AssertionError(self.process.communicate()[0])
            time.sleep(0.1)
        return time.monotonic() - started


@contextmanager
def running(image: str, config: Mapping[str, Any], told: Mapping[str, str]) -> Iterator[Container]:
    """Run an image, by its own configuration, with the variables of `told` besides its own."""
    name = _output("buildah", "from", "--pull-never", image)
    try:
        root = _output("buildah", "mount", name)
        variables = [*config["Env"], *(f"{key}={value}" for key, value in told.items())]
        command = [*config["Entrypoint"], *(config.get("Cmd") or [])]
        isolated = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "sh", "-c", _START, "start"]
        process = subprocess.Popen(
            [*isolated, root, config["User"], *variables, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield Container(_child(process.pid), process)
        finally:
            process.kill()
            process.communicate()
    finally:
        _output("buildah", "umount", name)
        _output("buildah", "rm", name)


def _child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    while not (found := children.read_text().split()):
        time.sleep(0.01)
    return int(found[0])


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

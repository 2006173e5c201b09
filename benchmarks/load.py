"""Load from outside: wrk, the field's HTTP load generator, so that the generator is never the limit."""

import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

from infra.local.machine import ROOT
from shared.errors import BadInput, NotReady

_RATE: Final = re.compile(r"Requests/sec:\s+([\d.]+)")
_ERRORS: Final = re.compile(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)")


def requests_per_second(url: str, in_flight: int, seconds: int, script: Path | None = None) -> float:
    """Return how many requests a second are answered 2xx. Raises: BadInput without wrk; NotReady if any fails."""
    if shutil.which("wrk") is None:
        raise BadInput("wrk is not installed; on Debian: apt-get install wrk")
    command = [
        "wrk",
        "--threads",
        "1",
        "--connections",
        str(in_flight),
        "--duration",
        f"{seconds}s",
        "--timeout",
        "10s",
    ]
    scripted = ["--script", str(script)] if script else []
    out = subprocess.run([*command, *scripted, url], capture_output=True, text=True, check=True).stdout
    failed = _ERRORS.search(out)
    if failed:
        raise NotReady(f"{url}: {failed[0]}")
    found = _RATE.search(out)
    if found is None:
        raise NotReady(f"wrk said nothing of a rate: {out}")
    return float(found[1])


def in_turn(rounds: int, *measures: Callable[[], float]) -> list[float]:
    """Run measures one after another, round after round, so that the machine's moods hit all alike; return medians."""
    found: Sequence[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for numbers, measure in zip(found, measures, strict=True):
            numbers.append(measure())
    return [median(numbers) for numbers in found]


@contextmanager
def function(name: str, threads: int) -> Iterator[str]:
    """Run a peer function by functions-framework for the length of a block; yield its address."""
    framework = Path(sys.executable).with_name("functions-framework")
    source = ROOT / "benchmarks/peers" / f"{name}.py"
    kind = "cloudevent" if name.startswith("cloud_event") else "http"
    command = [str(framework), "--source", str(source), "--target", "main", "--signature-type", kind]
    port = _free_port()
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        env={"PYTHONPATH": str(ROOT), "WORKERS": "1", "THREADS": str(threads)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}/"
        _until_answers(url)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _until_answers(url: str) -> None:
    for _ in range(200):
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise NotReady(f"{url} does not answer")

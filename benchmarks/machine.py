"""Parts of the local machine for a benchmark, in a folder that goes with it."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.local.machine import Machine
from infra.local.stack import Stack, running

_PORT_OFFSET = 15_000


@contextmanager
def local(*parts: str, **environment: str) -> Iterator[Stack]:
    """Run the parts named, all if none is, with settings given as keywords."""
    with tempfile.TemporaryDirectory(prefix="marquee-bench-") as folder:
        settings = {name.upper(): value for name, value in environment.items()}
        stack = Stack(Machine(Path(folder), _PORT_OFFSET), settings)
        with running(stack, parts, lambda step: print(step, file=sys.stderr)):
            yield stack

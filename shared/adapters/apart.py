"""The lake's commits by a process of its own: delta-rs holds Python's lock while it reads, and would stop all answers.

What is asked and answered goes through a pipe. The process ends with the one that started it.
"""

import signal
import subprocess
import sys
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from shared.errors import NotReady
from shared.ports import Commits, Rows
from shared.rows import Kind


@dataclass
class CommitsApart:
    """The commits of the table at `uri` as `Commits`, for one thread at a time; the process starts when first asked."""

    uri: str
    options: Mapping[str, str] = field(repr=False)  # it holds keys
    _end: Callable[[], object] | None = field(init=False, default=None, repr=False)
    _pipe: "Connection[Any, Any] | None" = field(init=False, default=None, repr=False)

    def since(self, version: int, kinds: Collection[Kind], columns: Sequence[str]) -> tuple[int, Iterator[Rows]]:
        """Return the newest version, and the rows committed after `version`. Raises: NotReady.

        Rows that were left unread are dropped when it is asked again.
        """
        pipe, self._pipe = self._pipe or self._started(), None  # kept again only once all was read
        newest: int = self._told(pipe, (version, tuple(kinds), tuple(columns)))
        return newest, self._rows(pipe)

    def close(self) -> None:
        """End the process, as happens to that of whoever is forgotten."""
        if self._end:
            self._end()
        self._pipe = None

    def _rows(self, pipe: "Connection[Any, Any]") -> Iterator[Rows]:
        while (rows := self._told(pipe)) is not None:
            yield rows
        self._pipe = pipe

    def _told(self, pipe: "Connection[Any, Any]", asked: object = None) -> Any:
        """Return the next answer. Raises: NotReady, also if the process died, which is started anew then."""
        try:
            if asked is not None:
                pipe.send(asked)
            answer = pipe.recv()
        except (EOFError, OSError) as error:
            raise NotReady("who reads the lake has ended, and is started again") from error
        if isinstance(answer, NotReady):
            self._pipe = pipe
            raise answer
        return answer

    def _started(self) -> "Connection[Any, Any]":
        self.close()
        ours, theirs = Pipe()
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno())]
            process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        self._end = weakref.finalize(self, _ended, process, ours)
        ours.send((self.uri, dict(self.options)))
        return ours


def _ended(process: "subprocess.Popen[bytes]", pipe: "Connection[Any, Any]") -> None:
    process.kill()
    process.wait()
    pipe.close()


def answer(
    pipe: "Connection[Any, Any]", commits: Commits, version: int, kinds: Collection[Kind], columns: Sequence[str]
) -> None:
    """Send the newest version, the rows, and None as the end of them; NotReady wherever it comes."""
    try:
        newest, found = commits.since(version, kinds, columns)
        pipe.send(newest)
        for rows in found:
            pipe.send(rows)
        pipe.send(None)
    except NotReady as error:
        pipe.send(error)


def main() -> None:
    """Answer until nobody is left who could ask."""
    from shared.adapters.commits import DeltaCommits

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asks is told, too, and ends the pipe
    with Connection(int(sys.argv[1])) as pipe, suppress(EOFError, BrokenPipeError, ConnectionResetError):
        commits = DeltaCommits(*pipe.recv())
        while True:
            answer(pipe, commits, *pipe.recv())


if __name__ == "__main__":
    main()

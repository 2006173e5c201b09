"""Keep up with something that changes elsewhere, and never lose what worked."""

import atexit
import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import structlog

from shared.errors import NotReady

T = TypeVar("T")

log = structlog.get_logger()

_LEAVE_SECONDS: Final = 2.0

_leaving = threading.Event()
_threads: set[threading.Thread] = set()


@atexit.register
def leave() -> None:
    """Let threads come to an end before the interpreter does: one inside a library's own code would crash it.

    Or before that, where all that they follow is over; those that are begun later go on.
    """
    global _leaving
    _leaving.set()
    deadline = time.monotonic() + _LEAVE_SECONDS
    for thread in list(_threads):
        thread.join(max(0.0, deadline - time.monotonic()))
    _leaving = threading.Event()


def _start(name: str, work: Callable[[], None]) -> threading.Thread:
    """Start a thread that no exit waits for longer than `_LEAVE_SECONDS`."""

    def run() -> None:
        try:
            work()
        finally:
            _threads.discard(thread)

    thread = threading.Thread(target=run, name=name, daemon=True)
    _threads.add(thread)
    thread.start()
    return thread


def within(seconds: float, name: str, work: Callable[[], object]) -> bool:
    """Do something in a thread, and say whether it was done in time; what is late goes on, a failure is logged."""
    done = threading.Event()

    def run() -> None:
        try:
            work()
            done.set()
        except BaseException as error:  # as in `Follower.refresh`, but nobody waits for this thread to end
            log.warning("failed", what=name, reason=str(error) or repr(error))

    _start(name, run).join(seconds)
    return done.is_set()


class Follower(Generic[T]):
    """The newest good value, fetched every few seconds in a thread.

    A fetch gets the value held and returns it, or its replacement. While fetching fails the old value
    stays, and the reason is logged once until it changes.
    """

    def __init__(
        self,
        name: str,
        fetch: Callable[[T | None], T | None],
        seconds: float,
        first: T | None = None,
        *,
        wait: float | None = None,
    ) -> None:
        """Hold `first`; without one fetch now, or after `wait` seconds if given; then go on in the background."""
        self._name = name
        self._fetch = fetch
        self._seconds = seconds
        self._reason = ""
        self._leaving = _leaving
        self.value = first
        if first is None and wait is None:
            self.refresh()
            wait = seconds
        _start(f"follow-{name}", lambda: self._run(wait or 0.0))

    def get(self) -> T:
        """Return the value held. Raises: NotReady, with the reason, if there never was one."""
        value = self.value
        if value is None:
            raise NotReady(f"{self._name}: {self._reason or 'nothing has been published yet'}")
        return value

    def refresh(self) -> None:
        """Fetch now; a failure changes nothing."""
        try:
            self.value = self._fetch(self.value)
            self._reason = ""
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic in Rust is no Exception; the old value is better than a dead thread
            reason = str(error) or repr(error)
            if reason != self._reason:
                self._reason = reason
                log.warning("refresh_failed", what=self._name, reason=self._reason, keeps=self.value is not None)

    def _run(self, pause: float) -> None:
        while not self._leaving.wait(pause):
            self.refresh()
            pause = self._seconds

"""A web server for tests, that answers what it is told."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[str, Mapping[str, str]], tuple[int, bytes]]
"""Returns the status and the body for a path and the headers of a request."""

Patched = Callable[[str, Mapping[str, str], Any], tuple[int, bytes]]
"""The same for a patch, whose JSON is the third."""


@contextmanager
def serving(answer: Answer, patched: Patched = lambda *_: (405, b"")) -> Iterator[str]:
    """Answer at the address given, for the length of a block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(*answer(self.path, self.headers))

        def do_PATCH(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._send(*patched(self.path, self.headers, body))

        def _send(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            """Whoever asked may be gone by now."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Pages:
    """What is answered at each path, status and body, and what was asked, with which headers.

    A patch is kept, and answered with the next of `refusals`, or 200 when there is none left.
    """

    pages: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    patches: list[tuple[str, Mapping[str, str], Any]] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    url: str = ""

    def answer(self, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Return the page, 404 if there is none."""
        self.asked.append((path, dict(headers)))
        return self.pages.get(path, (404, b""))

    def patched(self, path: str, headers: Mapping[str, str], patch: Any) -> tuple[int, bytes]:
        """Take a patch, or refuse it as was told."""
        self.patches.append((path, dict(headers), patch))
        return self.refusals.pop(0) if self.refusals else 200, b'{"message": "because"}'


@contextmanager
def served(pages: Pages) -> Iterator[Pages]:
    """Serve pages for the length of a block."""
    with serving(pages.answer, pages.patched) as pages.url:
        yield pages

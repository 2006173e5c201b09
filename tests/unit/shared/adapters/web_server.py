"""A web server for tests, that answers what it is told."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


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


@contextmanager
def served(pages: Pages) -> Iterator[Pages]:
    """Serve pages for the length of a block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages.asked.append((self.path, dict(self.headers)))
            self._answer(*pages.pages.get(self.path, (404, b"")))

        def do_PATCH(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            pages.patches.append((self.path, dict(self.headers), body))
            self._answer(pages.refusals.pop(0) if pages.refusals else 200, b'{"message": "because"}')

        def _answer(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        pages.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield pages
        finally:
            server.shutdown()
            thread.join()

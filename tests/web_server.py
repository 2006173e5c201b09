"""A web server for tests, that answers what it is told."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[str, Mapping[str, str]], tuple[int, bytes]]
"""Returns the status and the body for a path and the headers of a request."""


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Answer at the address given, for the length of a block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, data = answer(self.path, self.headers)
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
    """What is answered at each path, status and body, and what was asked, with which headers."""

    pages: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    url: str = ""

    def answer(self, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Return the page, 404 if there is none."""
        self.asked.append((path, dict(headers)))
        return self.pages.get(path, (404, b""))


@contextmanager
def served(pages: Pages) -> Iterator[Pages]:
    """Serve pages for the length of a block."""
    with serving(pages.answer) as pages.url:
        yield pages

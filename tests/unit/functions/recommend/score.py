"""A score service for tests, that does what it is told, as slowly as it is told."""

import json
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tests.web_server import serving as answering

TOP = {"movies": ["x", "y"], "scores": [0.5, 0.4], "ratings": [5.0, 4.0], "rung": "personal", "revision": "r1"}
NUMBERS = {"score": 0.5, "chance": 0.6, "share": 0.4, "taste": 0.2, "liking": 0.8, "rating": 4.5, "mean": 3.5}
BIASES = {"user_bias": 0.5, "movie_bias": 0.25, "interaction": 0.25}
WHY = NUMBERS | BIASES | {"because": [], "seen": False, "rung": "folded_in", "revision": "r1"}
POPULAR = [f"p{number}" for number in range(30)]


@dataclass
class Score:
    """What a service does: `status` and `seconds` for every request, `wrong` in place of or among what it says."""

    name: str
    status: int = 200
    seconds: float = 0.0
    wrong: bytes | dict[str, Any] = field(default_factory=dict)
    popular: list[str] = field(default_factory=lambda: POPULAR)
    url: str = ""
    asked: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)

    def says(self, path: str) -> dict[str, Any]:
        """Return the right answer."""
        kind, *names = path.split("?")[0].strip("/").split("/")
        if kind == "popular":
            return {"movies": self.popular, "model": f"{self.name}@v1"}
        about = {"user_id": names[0], "movie": unquote(names[1])} if kind == "explain" else {}
        return {"model": f"{self.name}@v1", **(WHY if kind == "explain" else TOP), **about}

    def answer(self, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Return what is answered, after a while."""
        self.hosts.append(headers["Host"])
        is_popular = path == "/popular"
        if not is_popular:
            self.asked.append(path)
            time.sleep(self.seconds)
        if isinstance(self.wrong, bytes):
            return self.status, self.wrong
        status = 200 if is_popular and self.status == 404 else self.status
        return status, json.dumps(self.says(path) | ({} if is_popular else self.wrong)).encode()


@contextmanager
def serving(score: Score) -> Iterator[Score]:
    """Run a service for the length of a block."""

    with answering(score.answer) as score.url:
        yield score


@contextmanager
def paused() -> Iterator[str]:
    """Give the address of a process that takes connections and never says a word, as one that is stopped does."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"

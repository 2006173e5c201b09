"""HTTP for what runs in the background: short time-outs, and errors that mean something."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import urllib3

from shared.errors import BadInput, Conflict, MarqueeError, NotFound, NotReady

_TIMEOUT: Final = urllib3.Timeout(connect=1, read=2)
_EXCERPT: Final = 500
_RETRIES: Final = urllib3.Retry(total=1, redirect=False)  # a kept connection may have been closed meanwhile


@dataclass(frozen=True)
class Web:
    """Whoever answers HTTP."""

    pool: urllib3.PoolManager

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> bytes:
        """Return the body of a 200. Raises: NotFound for a 404; NotReady for anything else, also for silence."""
        return self._ask("GET", url, headers).data

    def patch(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Change what is there.

        Raises: BadInput if the change is refused for what it is (400, 422), Conflict for a 409, and as `get` does.
        """
        self._ask("PATCH", url, headers, body, {400: BadInput, 409: Conflict, 422: BadInput})

    def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        body: bytes | None = None,
        errors: Mapping[int, type[MarqueeError]] = MappingProxyType({}),
    ) -> urllib3.BaseHTTPResponse:
        try:
            answer = self.pool.request(method, url, body=body, headers=headers, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise NotReady(f"{url} does not answer: {error}") from error
        if answer.status == 404:
            raise NotFound(url)
        if answer.status != 200:
            said = answer.data[:_EXCERPT].decode(errors="replace")
            raise errors.get(answer.status, NotReady)(f"{url} answered {answer.status}: {said}")
        return answer


def web(ca_file: Path | None = None) -> Web:
    """Return a client; with a file of certificates it trusts those alone."""
    trusted = None if ca_file is None else str(ca_file)
    return Web(urllib3.PoolManager(timeout=_TIMEOUT, retries=_RETRIES, ca_certs=trusted))

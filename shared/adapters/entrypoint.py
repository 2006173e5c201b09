"""How a function meets HTTP: health, metrics, and an event or a request in, an answer out.

functions-framework serves one target per process in its ASGI mode, and hands every path to it. A target
that returns one of the applications made here gets routes on that single target.
"""

import asyncio
import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar, cast

import functions_framework.aio
import structlog
import uvicorn
from cloudevents.exceptions import GenericException
from cloudevents.http import CloudEvent, from_http
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from shared import telemetry
from shared.errors import BadEvent, BadInput, Conflict, Corrupt, MarqueeError, NotFound, NotReady
from shared.events import decode


class _Anything(StringConvertor):
    """What a path holds there, line breaks and slashes too."""

    regex = r"[\s\S]*"


register_url_convertor("anything", _Anything())

MAX_BODY_BYTES: Final = 8 * 2**20  # a Kafka record is at most 1 MiB by default

structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
)
log = structlog.get_logger()


def _die_with_master() -> None:
    """Have the kernel kill this worker when the server that forked it dies: an orphan would go on holding the port."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


_PR_SET_PDEATHSIG: Final = 1
if sys.platform == "linux":
    os.register_at_fork(after_in_child=_die_with_master)

T = TypeVar("T")

Refused = Callable[[Request, HTTPException], Response]

_STATUS: Final[dict[type[MarqueeError], int]] = {
    BadEvent: 400,
    BadInput: 400,
    NotFound: 400,  # all that an event names was stored before it was published
    Corrupt: 400,
    Conflict: 409,
    NotReady: 503,
}


class Once(Generic[T]):
    """A value made on first use, in a thread, once: nothing made at import survives the server's fork."""

    def __init__(self, make: Callable[[], T]) -> None:
        """Take what makes the value; if it raises, the next use tries again."""
        self._make = make
        self._made: list[T] = []
        self._turn = asyncio.Lock()

    async def __call__(self) -> T:
        """Return the value."""
        if not self._made:
            async with self._turn:
                if not self._made:
                    self._made.append(await asyncio.to_thread(self._make))
        return self._made[0]


def function_app(
    ready: Callable[[], Awaitable[object]], routes: Sequence[Route], refused: Refused | None = None
) -> Router:
    """Return an application with health and metrics beside a function's own routes.

    `ready` is awaited by the readiness probe; while it raises, the function gets no traffic. `refused` makes the answer
    to a path or a method that there is no route for; by default it is a plain problem.
    """

    async def liveness(_: Request) -> Response:
        return PlainTextResponse("alive")

    async def readiness(_: Request) -> Response:
        try:
            await ready()
        except MarqueeError as error:
            return problem(503, str(error))
        return PlainTextResponse("ready")

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return _Routes(
        [
            *routes,
            Route("/health/liveness", liveness),
            Route("/health/readiness", readiness),
            Route("/metrics", metrics),
        ],
        refused or _unanswered,
    )


def event_app(deps: Callable[[], Any], handlers: Mapping[type, Callable[[Any, Any], object]]) -> Router:
    """Return an application that hands each CloudEvent to the handler of its type, one at a time.

    `deps` is called once, on first use. A handler is called as `handler(event, deps)` in a thread, so that
    health stays answered during long work.
    Statuses say what the source shall do: 2xx done, 400 dead letter, 409, 500 and 503 again later.
    """
    kinds = {kind.type: (kind, handler) for kind, handler in handlers.items()}  # type: ignore[attr-defined]
    turn = asyncio.Lock()
    connect = Once(deps)

    async def receive(request: Request) -> Response:
        try:
            event = _cloud_event(request, await body(request))
            kind, handler = _handler_of(event, kinds)
            payload = decode(kind, _data(event))
        except BadEvent as error:
            log.warning("event_refused", reason=str(error))
            telemetry.HANDLED.labels("unknown", 400).inc()
            return problem(400, str(error))
        except NotReady as error:
            return problem(503, str(error))
        async with turn:
            started = time.perf_counter()
            status, detail = await _handle(handler, payload, connect)
        telemetry.HANDLED.labels(kind.type, status).inc()
        telemetry.HANDLE_SECONDS.labels(kind.type).observe(time.perf_counter() - started)
        return Response(status_code=204) if status == 204 else problem(status, detail)

    return function_app(connect, [Route("/", receive, methods=["POST"])])


def target(app: Router) -> Callable[[Request], Awaitable[Response]]:
    """Return the functions-framework target that lets an application answer.

    To Starlette, which calls what a target returns, an application and a response are the same thing.
    """

    async def main(request: Request) -> Response:
        # From now on it is asked first: the routes of functions-framework lack paths and methods, which they refuse in
        # plain text.
        request.app.router.routes.clear()
        request.app.router.default = app
        _end_by_exit()
        return cast(Response, app)

    return cast(Callable[[Request], Awaitable[Response]], functions_framework.aio.http(main))


def _end_by_exit() -> None:
    """Let a worker that is asked to end do what it has to at its exit, as to send what waits for Kafka.

    Left alone, uvicorn answers whoever has asked already, and then ends itself by the same signal, without an exit.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if isinstance(server, uvicorn.Server):
        signal.signal(signal.SIGTERM, lambda *_: setattr(server, "should_exit", True))


async def body(request: Request) -> bytes:
    """Return the request's body.

    Raises: BadEvent if it is larger than any Kafka record may be; NotReady if the client leaves before its end.
    """
    parts = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > MAX_BODY_BYTES:
                raise BadEvent(f"a body of more than {MAX_BODY_BYTES} bytes")
            parts.append(part)
    except ClientDisconnect:
        log.warning("client_left", path=request.url.path[:200], n_bytes=size)
        raise NotReady("the client left before the end of its body") from None
    return b"".join(parts)


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error as RFC 9457 problem+json."""
    title = HTTPStatus(status).phrase
    return JSONResponse(
        {"type": "about:blank", "title": title, "status": status, "detail": detail},
        status_code=status,
        media_type="application/problem+json",
        headers=headers,
    )


class _Routes(Router):
    """Routes that refuse what they are not for as a problem."""

    def __init__(self, routes: Sequence[Route], refused: Refused) -> None:
        super().__init__(routes, redirect_slashes=False, default=_nowhere)
        self.refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except HTTPException as error:
            if error.status_code == 405:
                error.detail = f"{scope['method'][:20]} is not answered here"
            await self.refused(Request(scope), error)(scope, receive, send)


async def _nowhere(scope: Scope, _: Receive, __: Send) -> None:
    raise HTTPException(404, f"there is nothing at {scope['path'][:200]!r}")


def _unanswered(_: Request, error: HTTPException) -> Response:
    return problem(error.status_code, error.detail, error.headers)


async def _handle(handler: Callable[[Any, Any], object], payload: Any, connect: Once[Any]) -> tuple[int, str]:
    try:
        await asyncio.to_thread(handler, payload, await connect())
    except MarqueeError as error:
        status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
        log.warning("event_failed", event_type=payload.type, status=status, reason=str(error))
        return status, str(error)
    except Exception:
        log.exception("event_crashed", event_type=payload.type)
        return 500, "the function failed; its log says why"
    return 204, ""


def _cloud_event(request: Request, data: bytes) -> CloudEvent:
    try:
        return from_http(dict(request.headers), data, data_unmarshaller=lambda raw: raw)
    except (GenericException, ValueError, RecursionError) as error:
        raise BadEvent(f"not a CloudEvent: {error}") from error


def _data(event: CloudEvent) -> bytes | str:
    """Return the payload's JSON; in structured mode the SDK has parsed it with the envelope."""
    if isinstance(event.data, bytes | str):
        return event.data or b"{}"
    return json.dumps({} if event.data is None else event.data)


def _handler_of(event: CloudEvent, kinds: Mapping[str, Any]) -> Any:
    try:
        return kinds[event["type"]]
    except (KeyError, TypeError):
        raise BadEvent(f"no handler for events of type {str(event['type'])[:80]!r}") from None

"""Answer Knative's API for the services of one machine: `python -m infra.local.serving`."""

import json
import threading
from http import HTTPStatus
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from infra.local.machine import Machine
from infra.local.serving.controller import Controller
from infra.local.serving.objects import revision_object, service_object
from shared.adapters.knative import GROUP
from shared.adapters.kubernetes import NAMESPACE
from shared.errors import BadInput, BadSettings, Conflict, MarqueeError, NotFound

_LARGEST_BYTES: Final = 2**20
_PATCH: Final = "application/merge-patch+json"
_REFUSED: Final[dict[type[Exception], tuple[int, str]]] = {
    BadInput: (400, "BadRequest"),
    NotFound: (404, "NotFound"),
    Conflict: (409, "Conflict"),
    BadSettings: (422, "Invalid"),
}


def application(controller: Controller) -> Starlette:
    """Return the API of a controller's services."""

    async def service(request: Request) -> Response:
        name = request.path_params["name"]
        if request.method != "PATCH":
            return JSONResponse(service_object(controller.service(name)))
        if request.headers.get("content-type") != _PATCH:
            return _status(415, "UnsupportedMediaType", f"a patch is {_PATCH}")
        return JSONResponse(service_object(await run_in_threadpool(controller.change, name, await _json(request))))

    async def revision(request: Request) -> Response:
        return JSONResponse(revision_object(controller.revision(request.path_params["name"])))

    async def readiness(_: Request) -> Response:
        return PlainTextResponse("ready")

    prefix = f"/apis/{GROUP}/namespaces/{NAMESPACE}"
    return Starlette(
        routes=[
            Route(f"{prefix}/services/{{name}}", service, methods=["GET", "PATCH"]),
            Route(f"{prefix}/revisions/{{name}}", revision),
            Route("/health/readiness", readiness),
        ],
        exception_handlers={MarqueeError: _refused, HTTPException: _nothing},
    )


async def _json(request: Request) -> object:
    """Return what a request holds. Raises: BadInput if it is no JSON, or too much of it."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_BYTES:
            raise BadInput(f"a patch of more than {_LARGEST_BYTES} bytes")
    try:
        found: object = json.loads(body)
        json.dumps(found, ensure_ascii=False).encode()  # JSON can name half a character, which nothing else can hold
        return found
    except (ValueError, RecursionError) as error:
        raise BadInput(f"the patch is no JSON: {error}") from error


async def _refused(_: Request, error: Exception) -> Response:
    code, reason = next(
        (found for kind, found in _REFUSED.items() if isinstance(error, kind)), (503, "ServiceUnavailable")
    )
    return _status(code, reason, str(error))


async def _nothing(request: Request, error: Exception) -> Response:
    code = error.status_code if isinstance(error, HTTPException) else 500
    return _status(
        code, HTTPStatus(code).phrase.replace(" ", ""), f"{request.method} {request.url.path[:200]}: none here"
    )


def _status(code: int, reason: str, message: str) -> Response:
    """Return an error as Kubernetes does."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
    return JSONResponse({**body, "message": message, "reason": reason, "code": code}, status_code=code)


def main() -> None:
    """Serve until SIGTERM."""
    machine = Machine.from_env()
    try:
        controller = Controller(machine)
    except BadInput as error:
        raise SystemExit(str(error)) from None
    threading.Thread(target=controller.run, name="reconcile", daemon=True).start()
    uvicorn.run(application(controller), host="127.0.0.1", port=machine.port("serving"), log_level="warning")


if __name__ == "__main__":
    main()

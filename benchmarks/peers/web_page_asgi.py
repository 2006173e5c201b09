"""The empty HTTP function in functions-framework's ASGI mode, in which all of ours run."""

import functions_framework.aio
from starlette.requests import Request


@functions_framework.aio.http
async def main(_: Request) -> str:
    """Answer a word."""
    return "ok\n"

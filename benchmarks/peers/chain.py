"""The first of two empty functions: it asks the second, at NEXT_URL, and passes on what that says."""

import functools
import os

import aiohttp
import functions_framework.aio
from starlette.requests import Request


@functools.cache
def http() -> aiohttp.ClientSession:
    """Return the connections to the second function, kept open, as many as `recommend` may have."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256, keepalive_timeout=60), raise_for_status=True)


@functions_framework.aio.http
async def main(_: Request) -> str:
    """Answer the second function's word."""
    async with http().get(os.environ["NEXT_URL"]) as answer:
        return await answer.text()

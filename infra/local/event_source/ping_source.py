"""Tick by a cron expression."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from croniter import croniter

from infra.local.event_source.config import PingSource
from infra.local.event_source.message import Message, tick


async def run(spec: PingSource, send: Callable[[Message], Awaitable[object]]) -> None:
    """Send a tick at every time of the schedule until cancelled; a tick that fails is not repeated."""
    seconds_first = len(spec.spec.schedule.split()) == 6
    moments = croniter(spec.spec.schedule, datetime.now(UTC), second_at_beginning=seconds_first)
    while True:
        moment = moments.get_next(datetime)
        wait = (moment - datetime.now(UTC)).total_seconds()
        if wait < 0:  # a tick took longer than the schedule allows: go on from now
            moments.set_current(datetime.now(UTC))
            continue
        await asyncio.sleep(wait)
        await send(tick(spec.metadata.name, str(uuid.uuid4()), moment, spec.spec.content_type, spec.spec.data))

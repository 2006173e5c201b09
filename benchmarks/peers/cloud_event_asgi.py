"""The empty CloudEvent function in functions-framework's ASGI mode."""

import functions_framework.aio
from cloudevents.http import CloudEvent


@functions_framework.aio.cloud_event
async def main(event: CloudEvent) -> None:
    """Take an event and do nothing."""

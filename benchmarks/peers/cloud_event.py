"""The empty CloudEvent function, as functions-framework's own documentation has it."""

import functions_framework
from cloudevents.http import CloudEvent


@functions_framework.cloud_event
def main(event: CloudEvent) -> None:
    """Take an event and do nothing."""

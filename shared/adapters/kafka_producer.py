"""Kafka's producer, made so that it can be left for another one.

kafka-python's idempotent producer may send nothing more, for ever, though Kafka is back: once a batch expires that was
sent before, it gives up its producer id, and being READY it asks for no other; a refused topic, too, is the end of it.
So whoever finds that a send failed leaves the producer and makes a new one.
"""

from contextlib import suppress

from kafka import KafkaProducer
from kafka.errors import KafkaTimeoutError


class Producer(KafkaProducer):  # type: ignore[misc]
    """A producer whose `close` always ends it: what is not sent by then fails, and is not sent later."""

    def flush(self, timeout: float | None = None) -> None:
        """Wait for what is buffered, for as many seconds at most; kafka-python would raise, and close nothing."""
        with suppress(KafkaTimeoutError):
            super().flush(timeout)

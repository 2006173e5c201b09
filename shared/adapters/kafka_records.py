"""Kafka's records, those too whose headers have names that are no text.

kafka-python decodes the name of a header strictly, and a record that it cannot decode ends the whole batch: neither
that record nor those after it could ever be read, whatever offset is sought. Kafka's client for Java, which Knative's
dispatcher reads with, puts U+FFFD for what is not UTF-8 and goes on; so does a `KafkaConsumer` of this module.
"""

from typing import Any, Final

from kafka import KafkaConsumer
from kafka.errors import CorruptRecordError
from kafka.record import memory_records
from kafka.record.default_records import DefaultRecordBatch

__all__: Final = ["KafkaConsumer"]


class _Lenient(bytearray):
    """Bytes of which every part can be decoded."""

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return _Lenient(found) if isinstance(index, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, errors)


class LenientBatch(DefaultRecordBatch):  # type: ignore[misc]
    """A batch that goes on, a little slower, from the first record that cannot be decoded; other damage stays one."""

    _buffer: bytearray

    def __next__(self) -> Any:
        """Return the next record. Raises: StopIteration, CorruptRecordError."""
        try:
            return super().__next__()
        except CorruptRecordError:
            if isinstance(self._buffer, _Lenient):
                raise
            self._buffer = _Lenient(self._buffer)
            return super().__next__()


memory_records.DefaultRecordBatch = LenientBatch

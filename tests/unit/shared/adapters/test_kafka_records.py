import pytest
from kafka.errors import CorruptRecordError
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from shared.adapters import kafka_records


class Named(str):
    """The name of a header as a producer writes it that does not care for UTF-8."""

    def encode(self, *_):
        return b"\xff\xfe" + super().encode()


def written(headers, compression=0):
    """Return a batch of four records as a broker hands it over; the second and the third have these headers."""
    batch = DefaultRecordBatchBuilder(2, compression, False, -1, -1, -1, 1_000_000)
    for offset, extra in enumerate([[], headers, headers, [("fine", b"2")]]):
        batch.append(offset, 1_000, b"key", b"value %d" % offset, extra)
    return bytes(batch.build())


@pytest.mark.parametrize("compression", [0, 1], ids=["plain", "gzip"])
def test_a_header_whose_name_is_no_text_stops_neither_its_record_nor_those_after_it(compression):
    """The name has U+FFFD for what is not UTF-8; keys, values and the other records are whole."""
    (batch,) = MemoryRecords(written([(Named("x"), b"1")], compression))
    records = list(batch)
    assert [record.value for record in records] == [b"value 0", b"value 1", b"value 2", b"value 3"]
    assert [record.headers for record in records] == [[], *[[("\ufffd\ufffdx", b"1")]] * 2, [("fine", b"2")]]
    assert {type(record.value) for record in records} == {type(record.key) for record in records} == {bytes}


def test_other_damage_is_still_an_error():
    """A batch whose lengths are wrong is never read as something else."""
    data = bytearray(written([]))
    data[DefaultRecordBatch.HEADER_STRUCT.size] += 2  # the length of the first record
    (batch,) = MemoryRecords(bytes(data))
    with pytest.raises(CorruptRecordError):
        list(batch)


def test_consumers_read_so():
    """What the event source and the backfill import is the library's consumer, which reads such batches."""
    (batch,) = MemoryRecords(written([]))
    assert isinstance(batch, kafka_records.LenientBatch)

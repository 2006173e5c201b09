"""How far a partition may be committed: up to the oldest record that is not settled."""


class Offsets:
    """The records of one partition that are on their way. Pure, for one thread."""

    def __init__(self, start: int) -> None:
        """Begin at the first offset that will be taken."""
        self._position = start
        self._open: dict[int, None] = {}

    def take(self, offset: int) -> None:
        """Begin with a record; offsets come in rising order, with gaps where Kafka has some.

        An offset that was taken before means that the group went back: all after it will come again too.
        """
        if offset < self._position:
            self._open.clear()
        self._open[offset] = None
        self._position = offset + 1

    def settle(self, offset: int) -> None:
        """Note that a record was answered 2xx or is among the dead letters."""
        self._open.pop(offset, None)

    @property
    def committable(self) -> int:
        """The offset to commit: every record below it is settled."""
        return next(iter(self._open), self._position)

    @property
    def n_open(self) -> int:
        """How many records are on their way."""
        return len(self._open)

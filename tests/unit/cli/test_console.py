import pytest

from cli.console import clock

DAY = 86_400_000_000
NOW = 1_795_521_600_000_000
"""2026-11-24 12:00."""


@pytest.mark.parametrize(
    ("moment", "told"),
    [(NOW + 1, "12:00"), (NOW - DAY, "11-23 12:00"), (NOW + DAY, "11-25 12:00"), (NOW - 365 * DAY, "2025-11-24 12:00")],
)
def test_a_moment_is_as_short_as_it_can_be(moment, told):
    """Day and year are told only where they differ from today's."""
    assert clock(moment, NOW) == told

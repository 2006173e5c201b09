from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.lines import Limits, is_movie_id, is_user_id, parse
from shared.rows import Place, Row

NOW = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp() * 1e6)
PLACE = Place("movielog", 3, 7, NOW)
LIMITS = Limits()


def read(line: str) -> Row:
    return parse(line.encode(), PLACE, LIMITS)


@pytest.mark.parametrize(
    ("stamp", "microsecond"),
    [
        ("2026-11-22T10:00", 0),
        ("2026-11-22T10:00:00", 0),
        ("2026-11-22T10:00:00Z", 0),
        ("2026-11-22T10:00:00.123", 123_000),
        ("2026-11-22T10:00:00.123456", 123_456),
        ("2026-11-22T10:00:00.123456789", 123_456),
        ("2026-11-22T10:00:00.123456789Z", 123_456),
    ],
)
def test_times_of_every_known_form_are_utc_microseconds(stamp: str, microsecond: int) -> None:
    """With or without seconds, fraction or Z, a time means the same moment in UTC."""
    expected = int(datetime(2026, 11, 22, 10, tzinfo=UTC).timestamp()) * 1_000_000 + microsecond
    assert read(f"{stamp},12,GET /create_account").time == expected


def test_a_watch_is_a_user_a_movie_and_a_minute() -> None:
    """The minute file of a movie becomes a watch row at its place in Kafka."""
    row = read("2026-11-22T10:00:00,12,GET /data/m/toy+story+1995/31.mpg")
    assert row == Row("watch", *PLACE, time=row.time, user_id="12", movie_id="toy+story+1995", minute=31)


@pytest.mark.parametrize(("text", "value"), [("4", 4.0), ("4.5", 4.5), ("0.5", 0.5), ("5.0", 5.0)])
def test_a_rating_on_the_scale_is_a_rating(text: str, value: float) -> None:
    """Whole and half steps between the ends of the scale are taken as they are."""
    row = read(f"2026-11-22T10:00:00,12,GET /rate/862={text}")
    assert (row.kind, row.movie_id, row.rating) == ("rating", "862", value)


@pytest.mark.parametrize("text", ["0", "5.5", "10", "4.25", "-1", "nan", "1e0", "٤", "", "4 "])
def test_a_rating_off_the_scale_is_quarantined(text: str) -> None:
    """A number outside the scale, between its steps, or no number, never becomes a rating."""
    row = read(f"2026-11-22T10:00:00,12,GET /rate/862={text}")
    assert row.kind == "quarantine"
    assert row.reason in ("bad_rating", "rating_outside_scale")


def test_a_scale_of_tenths_takes_every_tenth() -> None:
    """Decimal steps are not binary fractions; each of the scale's own values is a rating all the same."""
    limits = Limits(rating_min=0.0, rating_max=1.0, rating_step=0.1)
    rows = [parse(f"2026-11-22T10:00:00,12,GET /rate/862=0.{n}".encode(), PLACE, limits) for n in range(10)]
    assert [row.rating for row in rows] == [n / 10 for n in range(10)]
    assert parse(b"2026-11-22T10:00:00,12,GET /rate/862=0.25", PLACE, limits).reason == "rating_outside_scale"


def test_the_scale_is_configuration() -> None:
    """A site that rates from 1 to 10 says so, and 10 is a rating there and 0.5 is not."""
    limits = Limits(1, 10, 1)
    assert parse(b"2026-11-22T10:00:00,12,GET /rate/862=10", PLACE, limits).rating == 10.0
    assert parse(b"2026-11-22T10:00:00,12,GET /rate/862=0.5", PLACE, limits).reason == "rating_outside_scale"


@pytest.mark.parametrize("listed", ["a, b, b, c", "a,b,b,c", "a,  b, b ,c"])
def test_a_recommendation_request_keeps_its_list_in_order(listed: str) -> None:
    """Ids with or without spaces between them, repeated ones too, come back as they were shown."""
    row = read(f"2026-11-22T10:00:00,12,recommendation request 10.0.0.1:8082, status 200, result: {listed}, 143 ms")
    assert (row.server, row.status, list(row.movies or []), row.latency_ms) == (
        "10.0.0.1:8082",
        200,
        ["a", "b", "b", "c"],
        143.0,
    )


@pytest.mark.parametrize(
    ("line", "status", "error"),
    [
        (
            "status 0, result: java.net.SocketTimeoutException: timed out, 801 ms",
            0,
            "java.net.SocketTimeoutException: timed out",
        ),
        ('status 500, result: {"error": "boom, again"}, 12 ms', 500, '{"error": "boom, again"}'),
        ("status 200, result: , 12 ms", 200, ""),
    ],
)
def test_a_failed_recommendation_request_keeps_its_error_text(line: str, status: int, error: str) -> None:
    """A result that is no list of movies is kept as text; it is a fact about the service, not a bad line."""
    row = read(f"2026-11-22T10:00:00,12,recommendation request s, {line}")
    assert (row.kind, row.status, row.error, row.movies) == ("request", status, error, [])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"\xff\xfe\x00", "not_utf8"),
        (b"2026-11-22T10:00:00,12,GET /rate/8\x0062=4", "control_character"),
        (b"2026-11-22T10:00:00,12,GET /create_account\r2026", "control_character"),
        ("2026-11-22T10:00:00,12,GET /rate/8\u202862=4".encode(), "control_character"),
        (b"\x1b[31m2026-11-22T10:00:00,12,GET /create_account", "control_character"),
        (b"hello", "not_a_log_line"),
        (b"12345", "not_a_log_line"),
        (b"yesterday,12,GET /create_account", "bad_time"),
        (b"2026-13-45T10:00:00,12,GET /create_account", "bad_time"),
        (b"1976-11-22T10:00:00,12,GET /create_account", "time_out_of_range"),
        (b"2036-11-22T10:00:00,12,GET /create_account", "time_out_of_range"),
        (b"2026-11-22T10:00:00,0,GET /create_account", "bad_user_id"),
        (b"2026-11-22T10:00:00,-1,GET /create_account", "bad_user_id"),
        (b"2026-11-22T10:00:00,1e9,GET /create_account", "bad_user_id"),
        ("2026-11-22T10:00:00,١٢,GET /create_account".encode(), "bad_user_id"),
        (b"2026-11-22T10:00:00," + b"9" * 10_000 + b",GET /create_account", "bad_user_id"),
        (b"2026-11-22T10:00:00,12,GET /data/m/../../etc/1.mpg", "bad_minute"),
        (b"2026-11-22T10:00:00,12,GET /data/m/../1.mpg", "bad_movie_id"),
        (b"2026-11-22T10:00:00,12,GET /data/m/=HYPERLINK(1)/1.mpg", "bad_movie_id"),
        (b"2026-11-22T10:00:00,12,GET /data/m/862/x.mpg", "bad_minute"),
        (b"2026-11-22T10:00:00,12,POST /rate/862=4", "unknown_request"),
        (b"2026-11-22T10:00:00,12,recommendation request s", "bad_recommendation_request"),
    ],
)
def test_a_line_that_fits_nothing_is_kept_with_its_reason(line: bytes, reason: str) -> None:
    """Nothing is dropped: the bytes stay, and the reason names what is wrong."""
    row = parse(line, PLACE, LIMITS)
    assert (row.kind, row.reason, row.raw) == ("quarantine", reason, line)


LINE_LIKE = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.builds(
        lambda stamp, user, what: f"{stamp},{user},{what}".encode("utf-8", "surrogatepass"),
        st.one_of(st.datetimes().map(lambda t: t.isoformat()), st.text(max_size=30)),
        st.one_of(st.integers().map(str), st.text(max_size=12)),
        st.one_of(
            st.builds(
                lambda m, r: f"GET /rate/{m}={r}", st.text(max_size=20), st.one_of(st.floats().map(str), st.text())
            ),
            st.builds(lambda m, i: f"GET /data/m/{m}/{i}.mpg", st.text(max_size=20), st.integers()),
            st.builds(
                lambda s, c, r, ms: f"recommendation request {s}, status {c}, result: {r}, {ms} ms",
                st.text(max_size=10),
                st.integers(),
                st.text(max_size=60),
                st.integers(),
            ),
            st.just("GET /create_account"),
        ),
    ),
)


@given(LINE_LIKE)
def test_any_line_is_one_good_row_or_its_own_bytes_in_quarantine(line: bytes) -> None:
    """Whatever the bytes, there is one row: well formed, or quarantined with the very same bytes and a reason."""
    row = parse(line, PLACE, LIMITS)
    assert (row.topic, row.partition, row.offset) == PLACE[:3]
    if row.kind == "quarantine":
        assert row.raw == line
        assert row.reason
        return
    assert row.raw is None
    assert is_user_id(row.user_id or "")
    assert LIMITS.earliest <= (row.time or 0) <= NOW + LIMITS.max_ahead
    assert all(map(is_movie_id, [row.movie_id] if row.movie_id else row.movies or []))
    assert row.rating is None or 0.5 <= row.rating <= 5


@given(st.integers(1, 10**18 - 1), st.integers(0, 99_999), st.from_regex(r"[a-z0-9][a-z0-9+.'-]{0,40}", fullmatch=True))
def test_every_well_formed_watch_is_understood(user_id: int, minute: int, movie_id: str) -> None:
    """No user, movie or minute that the site can write ends in quarantine."""
    row = read(f"2026-11-22T10:00:00,{user_id},GET /data/m/{movie_id}/{minute}.mpg")
    assert (row.kind, row.user_id, row.movie_id, row.minute) == ("watch", str(user_id), movie_id, minute)

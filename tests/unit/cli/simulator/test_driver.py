from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from cli.simulator.crowd import Crowd
from cli.simulator.driver import Faults, Pace, drive
from cli.simulator.population import Population, numbered
from cli.simulator.report import facts
from shared.errors import NotReady
from shared.lines import Limits, parse
from shared.rows import Place

PEOPLE = Population(seed=8, movies=numbered(300), n_users=100)
POPULAR = [PEOPLE.movies[place] for place in PEOPLE.popularity.argsort()[::-1][:20].tolist()]
FAST = Pace(rate=200, seconds=1, speed=100_000)
NO_FAULTS = Faults()
ARMS = {0: "svd:stable", 1: "svd:canary"}


@asynccontextmanager
async def recommending(status=200, listed=tuple(POPULAR)):
    """A `recommend` that tells every second user's list another arm's."""

    async def answer(request):
        user = int(request.match_info["user"])
        headers = {"X-Marquee-Arm": ARMS[user % 2], "X-Marquee-Model": "svd@v1", "X-Marquee-Rung": "personal"}
        return web.Response(status=status, text=",".join(listed) + "\n", headers=headers)

    app = web.Application()
    app.router.add_get("/recommend/{user}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def play(faults=NO_FAULTS, people=PEOPLE, **service):
    lines: list[bytes] = []
    async with recommending(**service) as url:
        played = await drive(Crowd(people), url, lines.append, FAST, faults)
    return played, lines


def rows(lines, ahead=timedelta()):
    now = int((datetime.now(UTC) + ahead).timestamp() * 1e6)
    return [parse(line, Place("movielog", 0, offset, now), Limits()) for offset, line in enumerate(lines)]


def what(lines):
    """What is logged of whom, but for the times and the milliseconds of answers."""
    fields = [line.decode().split(",", 2)[1:] for line in lines]
    return Counter((user, text.rsplit(",", 1)[0]) for user, text in fields)


async def test_visits_come_at_their_rate_and_all_of_them_are_logged():
    """A request for each visit, a watch for each movie, a rating for each one rated; nothing for quarantine."""
    played, lines = await play()
    kinds = Counter(row.kind for row in rows(lines))
    assert played.visits == kinds["request"] == 200
    assert kinds["rating"] == played.rated > 100
    assert kinds["watch"] >= played.watched > 150
    assert kinds["account"] <= 100
    assert "quarantine" not in kinds
    assert len(lines) == played.lines == kinds.total()


async def test_the_same_seed_logs_the_same_whatever_the_time():
    """Users, lists, movies and ratings, of so many users that nobody comes again while they still choose."""
    many = Population(seed=8, movies=PEOPLE.movies, n_users=10**6)
    first, again = [what((await play(people=many))[1]) for _ in range(2)]
    assert first == again


async def test_hits_are_counted_for_the_arm_and_the_model_that_served_the_list():
    """Their sums are those of all lists, as the summary shows them."""
    played, _ = await play()
    found = facts(played)
    for by in (found["arms"], found["models"]):
        assert found["lists"] == sum(of["lists"] for of in by.values()) == 200
        assert found["hits"] == sum(of["hits"] for of in by.values()) > 0
    assert (found["arms"].keys(), found["models"].keys()) == (set(ARMS.values()), {"svd@v1"})
    assert found["rungs"] == {"personal": 200}
    assert found["hit_share"] == found["hits"] / 200


async def test_without_a_list_users_choose_by_themselves():
    """An error is logged with its text, and is nobody's hit; users watch all the same."""
    played, lines = await play(status=503, listed=["the models\n\nare", " away"])
    assert (played.lists, played.hits, played.asked.statuses) == (0, 0, {503: 200})
    assert played.watched > 150
    assert "quarantine" not in {row.kind for row in rows(lines)}


async def test_a_service_that_is_away_is_status_0():
    """Every visit is logged with the error's name."""
    lines: list[bytes] = []
    played = await drive(Crowd(PEOPLE), "http://127.0.0.1:1", lines.append, Pace(100, 0.2, 100_000))
    assert played.asked.statuses == {0: 20}
    assert sum(b"status 0, result: Client" in line for line in lines) == 20


async def test_a_clock_that_is_ahead_shows_in_every_line():
    """All times lie an hour ahead."""
    before = datetime.now(UTC)
    _, lines = await play(faults=Faults(skew_seconds=3600))
    times = [row.time / 1e6 - before.timestamp() for row in rows(lines, ahead=timedelta(hours=1))]
    assert min(times) >= 3599


async def test_what_comes_late_bears_the_time_when_it_happened():
    """Watching reaches the log half a second after the last visit, and says it was before."""
    arrived: list[tuple[float, bytes]] = []

    def write(line):
        arrived.append((datetime.now(UTC).timestamp(), line))

    async with recommending() as url:
        await drive(Crowd(PEOPLE), url, write, Pace(100, 0.2, 100_000), Faults(late_share=1, late_seconds=0.5))
    delays = [at - row.time / 1e6 for (at, _), row in zip(arrived, rows([line for _, line in arrived]), strict=True)]
    watching = [delay for delay, (_, line) in zip(delays, arrived, strict=True) if b"GET /data/" in line]
    assert min(watching) >= 0.5


async def test_what_is_repeated_is_the_same_byte_by_byte():
    """Each line of watching stands there twice; the site's other lines once."""
    _, lines = await play(faults=Faults(repeated_share=1))
    for line, times in Counter(lines).items():
        assert times == (2 if b"GET /data/" in line or b"GET /rate/" in line else 1)


async def test_a_crowd_that_is_slowed_down_comes_later():
    """All of it comes in the end."""
    async with recommending() as url:
        pace = Pace(1_000, 0.1, 100_000)
        slowed = await drive(Crowd(PEOPLE), url, lambda _: None, pace, slowed=lambda: 5.0)
    assert slowed.lists == 100
    assert slowed.seconds > 0.4


async def test_it_stops_when_it_is_told_to():
    """Visits that began come to their end, and no further ones begin."""
    lines: list[bytes] = []
    async with recommending() as url:
        pace = Pace(rate=200, seconds=None, speed=100_000)
        played = await drive(Crowd(PEOPLE), url, lines.append, pace, is_stopped=lambda: len(lines) > 100)
    assert len(lines) > 100
    assert sum(b"GET /rate/" in line for line in lines) == played.rated


async def test_a_log_that_is_full_ends_it_with_its_own_error():
    """Whoever runs it gets the one error that says what is wrong."""

    def refuse(_):
        raise NotReady("Kafka is away")

    async with recommending() as url:
        with pytest.raises(NotReady, match="Kafka is away"):
            await drive(Crowd(PEOPLE), url, refuse, FAST)

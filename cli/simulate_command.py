"""`marquee simulate`."""

import asyncio
import json
import math
import signal
import threading
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

import aiohttp
import typer
from rich.progress import Progress

from cli.console import out, progress
from cli.demo import DATA, PATIENCE_SECONDS, wait
from cli.ratings import read_titles
from cli.replay import replay, user_of, writing
from cli.simulator import past, report
from cli.simulator.crowd import Crowd
from cli.simulator.driver import Faults, Pace, Played, drive
from cli.simulator.population import Population
from cli.site import RUNG, answer_of
from cli.where import environment
from infra.local.machine import Machine
from shared.errors import BadInput
from shared.events import MOVIELOG
from shared.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)


def simulate(
    users: Annotated[int, typer.Option(min=1, help="How many people use the site at a time.")] = 5_000,
    rate: Annotated[float, typer.Option(min=0.1, help="Visits a second.")] = 20.0,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="For how long; until Ctrl-C if not given. 0: only the past.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same people.")] = 7,
    movies: Annotated[int, typer.Option(min=1, help="How many of the catalogue's movies the site has.")] = 2_000,
    catalogue: Annotated[
        Path, typer.Option(help="CSV with movie_id and title; the sample's movies if not given.", show_default=False)
    ] = DATA / "movies.csv.gz",
    history: Annotated[
        int, typer.Option(min=0, help="First write a past with so many ratings, for the first models to learn from.")
    ] = 0,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds to wait after the past until a model knows its users; 0 does not.")
    ] = PATIENCE_SECONDS,
    moment: Annotated[int, typer.Option(min=0, help="The visit to begin with: where another run has ended.")] = 0,
    speed: Annotated[float, typer.Option(min=0.1, help="How many times faster than in life a visit passes.")] = 600.0,
    spam_movie: Annotated[str | None, typer.Option(help="A movie that fake profiles push: they rate it 5.")] = None,
    spam_share: Annotated[float, typer.Option(min=0, max=1, help="How many fake profiles, for each user.")] = 0.03,
    skew: Annotated[float, typer.Option(help="Seconds by which the site's clock is ahead.")] = 0.0,
    late: Annotated[float, typer.Option(min=0, max=1, help="The share of visits that is logged 30 s late.")] = 0.0,
    repeated: Annotated[float, typer.Option(min=0, max=1, help="The share of visits that is logged twice.")] = 0.0,
    url: Annotated[str | None, typer.Option(help="Where `recommend` answers; on this machine if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a machine to read.")] = False,
) -> None:
    """Let people with planted tastes use the site: they ask for recommendations, watch, rate, come and go.

    They watch what suits them, from the list or by their own choice, and the site's log of it goes to Kafka. As their
    tastes are known, a better model is one from whose lists more is watched. `marquee up` comes first. Exits 1 if
    anybody got no list.

    Example: marquee simulate --history 50000 --seconds 60

    Example: marquee simulate --users 20000 --rate 200 --seconds 60 --seed 7

    Example: marquee simulate --seconds 0 --spam-movie 318 --spam-share 0.03
    """
    population = Population(seed, list(islice(read_titles(catalogue), movies)), users)
    crowd = Crowd(population, moment)
    settings = Settings.from_env(environment("KAFKA_BOOTSTRAP"))
    url = url or Machine.from_env().url("recommend")
    played = Played()
    if seconds != 0:
        _knock(url)
    with progress() as bars:
        before = _past(bars, crowd, history) if history else []
        spam = past.spam(population, spam_movie, spam_share, datetime.now(UTC)) if spam_movie is not None else []
        _write(bars, before + spam, settings)
        if before and patience and seconds != 0:
            _wait_for_a_model(bars, url, user_of(before[-1]) or b"", patience)
        if seconds != 0:
            faults = Faults(skew_seconds=skew, late_share=late, repeated_share=repeated)
            played = _play(bars, crowd, url, settings, Pace(rate, seconds, speed), faults)
    found = report.facts(played)
    if as_json:
        out.print_json(json.dumps(found | {"next_moment": crowd.moment}))
    else:
        report.show(out, played, crowd.moment)
    if found["lost"]:
        raise typer.Exit(1)


def _knock(url: str) -> None:
    """Ask whether anybody is there. Raises: BadInput if not: there is no use in writing what was watched there."""

    async def knock() -> None:
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(f"{url}/health/liveness"):
            pass

    try:
        asyncio.run(knock())
    except (aiohttp.ClientError, TimeoutError) as error:
        raise BadInput(
            f"nobody answers at {url} ({type(error).__name__}): `make up` starts a site here, --url names another"
        ) from None


def _past(bars: Progress, crowd: Crowd, n_ratings: int) -> list[bytes]:
    task = bars.add_task("ratings of the past", total=n_ratings)
    return past.history(crowd, n_ratings, datetime.now(UTC), on_rating=lambda n: bars.update(task, completed=n))


def _write(bars: Progress, lines: list[bytes], settings: Settings) -> None:
    if lines:
        task = bars.add_task("lines of the past into Kafka", total=len(lines))
        replay(lines, settings, MOVIELOG, on_sent=lambda n: bars.update(task, completed=n))


def _wait_for_a_model(bars: Progress, url: str, user: bytes, patience_seconds: float) -> None:
    task = bars.add_task("a model that knows them", total=1)

    async def rung() -> str:
        async with aiohttp.ClientSession() as http:
            return (await answer_of(http, url, user.decode())).headers.get(RUNG, "popular")

    wait(lambda: asyncio.run(rung()) != "popular", "a model", patience_seconds=patience_seconds)
    bars.update(task, completed=1)


def _play(bars: Progress, crowd: Crowd, url: str, settings: Settings, pace: Pace, faults: Faults) -> Played:
    """Let the crowd visit; the first Ctrl-C ends it in good order."""
    task = bars.add_task("visits", total=None if pace.seconds is None else math.ceil(pace.rate * pace.seconds))

    def show(played: Played) -> None:
        bars.update(
            task, completed=played.visits, description=f"visits ({played.hits:,} of {played.lists:,} lists hit)"
        )

    stopped = threading.Event()

    def stop(*_: object) -> None:
        stopped.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, stop)
    try:
        with writing(settings, MOVIELOG) as write:
            return asyncio.run(drive(crowd, url, write, pace, faults, stopped.is_set, show))
    finally:
        signal.signal(signal.SIGINT, before)

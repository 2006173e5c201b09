"""Answer `GET /recommend/<userid>` with a list of movies, always, and put on record what was served."""

import atexit
import json
import time
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from functions.recommend import core
from shared import bootstrap, keys, telemetry
from shared.adapters.entrypoint import Once, function_app, problem, target
from shared.adapters.follow import Follower
from shared.adapters.kafka import LaterPublisher
from shared.errors import BadInput
from shared.events import RecommendationServed
from shared.matrix import POPULARITY
from shared.recommendation import MovieId, Recommendation

_BEFORE_THE_FIRST_MATRIX = Path(__file__).with_name("popular.json")
_POOL = 256
_MOVIES = TypeAdapter(list[MovieId])


class Popular(NamedTuple):
    """The movies most people liked, best first, and the matrix that says so."""

    matrix_id: str
    movies: list[str]


@dataclass
class Recommend:
    """The deployed function: where the models answer, and what it knows itself."""

    deps: bootstrap.Deps
    served: LaterPublisher
    popular: Follower[Popular]

    def __post_init__(self) -> None:
        settings = self.deps.settings
        self.urls = {"svd": settings.score_svd_url, "svdpp": settings.score_svdpp_url}
        self.weights = {"svd": settings.score_svd_weight, "svdpp": 100 - settings.score_svd_weight}

    @cached_property
    def http(self) -> aiohttp.ClientSession:
        """The connections to the models, made on the event loop that uses them."""
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=_POOL, keepalive_timeout=60))

    async def answer(self, ask: core.Ask, arm: str, started: float) -> core.Answer:
        """Go down the ladder: the arm's model, the other one, the popular movies. Never later than the deadline."""
        settings = self.deps.settings
        for name in sorted(self.urls, key=lambda other: other != arm):
            left_ms = settings.deadline_ms - settings.reserve_ms - (time.perf_counter() - started) * 1000
            if left_ms <= 0:
                break
            try:
                found = await self.score(name, ask, min(left_ms, settings.score_share_ms))
            except (aiohttp.ClientError, TimeoutError, ValidationError) as error:
                telemetry.SCORE_FAILED.labels(name).inc()
                self.deps.log.warning("score_failed", arm=name, reason=f"{type(error).__name__}: {error}"[:200])
                continue
            if found is not None and found.movies:
                return found
        popular = self.popular.get()
        movies = core.popular(popular.movies, ask.n, ask.exclude)
        return core.Answer(
            movies or popular.movies[: ask.n], "popular", f"popular@{popular.matrix_id}", settings.k_revision
        )

    async def score(self, arm: str, ask: core.Ask, timeout_ms: float) -> core.Answer | None:
        """Return what a model recommends, or None if it does not know the user."""
        query = {"n": str(ask.n), "exclude": ",".join(ask.exclude)}
        timeout = aiohttp.ClientTimeout(total=timeout_ms / 1000)
        async with self.http.get(f"{self.urls[arm]}/top/{ask.user_id}", params=query, timeout=timeout) as answer:
            if answer.status == 404:
                return None
            answer.raise_for_status()
            found = Recommendation.model_validate_json(await answer.read())
        return core.Answer(found.movies, found.rung, found.model, found.revision)


def fetch_popular(deps: bootstrap.Deps, held: Popular) -> Popular:
    """Return the popular movies of the newest matrix that has any, or those held."""
    matrix_id = deps.channels.get(keys.MATRIX_CHANNEL).get("matrix_id", held.matrix_id)
    if matrix_id == held.matrix_id:
        return held
    movies = _MOVIES.validate_json(deps.artifacts.get_file(keys.matrix(matrix_id), POPULARITY))
    return Popular(matrix_id, movies or held.movies)


def connect() -> Recommend:
    """Connect to the bucket and, in the background, to Kafka."""
    deps = bootstrap.build("recommend", writes=False)
    seconds = deps.settings.channel_poll_seconds
    packaged = Popular("none", json.loads(_BEFORE_THE_FIRST_MATRIX.read_bytes()))
    popular = Follower("popular movies", lambda held: fetch_popular(deps, held or packaged), seconds, packaged)
    served = LaterPublisher(deps.publisher)
    atexit.register(served.close)
    return Recommend(deps, served, popular)


function = Once(connect)


async def recommend(request: Request) -> Response:
    """Answer one user, and hand the record of it to Kafka."""
    started = time.perf_counter()
    function_ = await function()
    given = request.headers.get("x-request-id", "")
    request_id = given if core.is_request_id(given) else uuid.uuid4().hex
    query = request.query_params
    try:
        ask = core.ask(request.path_params["user_id"], query.getlist("n"), query.getlist("exclude"))
    except BadInput as error:
        telemetry.BAD_REQUESTS.inc()
        return problem(400, str(error), {"x-request-id": request_id})
    settings = function_.deps.settings
    arm = core.arm(ask.user_id, settings.experiment_salt, function_.weights)
    answer = await function_.answer(ask, arm, started)
    seconds = time.perf_counter() - started
    telemetry.REQUESTS.labels(answer.rung, arm).inc()
    telemetry.LATENCY.observe(seconds)
    function_.served.publish(
        RecommendationServed(
            request_id=request_id,
            user_id=ask.user_id,
            time=function_.deps.now_us(),
            movies=tuple(answer.movies),
            latency_ms=round(seconds * 1000, 3),
            arm=arm,
            rung=answer.rung,
            model=answer.model,
            revision=answer.revision,
        ),
        key=ask.user_id,
    )
    return _response(request, answer, arm, request_id)


def _response(request: Request, answer: core.Answer, arm: str, request_id: str) -> Response:
    headers = {
        "cache-control": "no-store",
        "x-request-id": request_id,
        "x-marquee-model": answer.model,
        "x-marquee-revision": answer.revision,
        "x-marquee-rung": answer.rung,
        "x-marquee-arm": arm,
        "vary": "accept",
    }
    if "application/json" not in request.headers.get("accept", ""):
        return PlainTextResponse(",".join(answer.movies) + "\n", headers=headers)
    body: dict[str, Any] = {
        "user_id": request.path_params["user_id"],
        "movies": list(answer.movies),
        "model": answer.model,
        "revision": answer.revision,
        "rung": answer.rung,
        "arm": arm,
        "request_id": request_id,
    }
    return JSONResponse(body, headers=headers)


app = function_app(function, [Route("/recommend/{user_id:path}", recommend)])

main = target(app)

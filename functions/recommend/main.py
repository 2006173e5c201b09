"""Answer `GET /recommend/<userid>` with a list of movies, always, put on record what was served, and explain it."""

import atexit
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from functions.recommend import core, kept, openapi
from functions.recommend.answers import Explained, Recommended
from functions.recommend.models import Models
from shared import asking, bootstrap, telemetry
from shared.adapters.entrypoint import Once, function_app, problem, target
from shared.adapters.kafka import LaterPublisher
from shared.adapters.web import web
from shared.errors import BadInput, NotFound, NotReady
from shared.events import RecommendationServed
from shared.recommendation import Explanation, Recommendation
from shared.titles import titles
from shared.words import words


class Call(NamedTuple):
    """A request: its id, its user's arms, the user's own first, and when it must be answered."""

    id: str
    arms: list[core.Arm]
    started: float
    deadline: float

    @property
    def arm(self) -> str:
        """The name of the user's own arm."""
        return self.arms[0].name

    @property
    def left_seconds(self) -> float:
        """How long the models have still."""
        return self.deadline - time.perf_counter()


@dataclass
class Recommend:
    """The deployed function: where the models answer, and what it knows itself.

    `unrecorded` is why an answer was not put on record the last time that one was not.
    """

    deps: bootstrap.Deps
    unrecorded: str = ""

    def __post_init__(self) -> None:
        settings = self.deps.settings
        self.served = LaterPublisher(self.deps.publisher)
        atexit.register(self.served.close)
        self.models = Models(self.deps.log, settings.hedge_ms / 1000, settings.in_flight_most)
        self.targets = kept.follow_targets(self.deps)
        self.popular = kept.follow_popular(self.deps, web())
        self.titles = kept.follow_titles(self.deps)
        self.weights = kept.follow_weights(self.deps)

    def call(self, request_id: str, user_id: str, started: float) -> Call:
        """Return what a request needs to be answered."""
        settings = self.deps.settings
        targets = {algorithm: found() for algorithm, found in self.targets.items()}
        arms = core.arms(user_id, settings.experiment_salt, self.weights.get(), targets)
        return Call(request_id, arms, started, started + (settings.deadline_ms - settings.reserve_ms) / 1000)

    async def answer(self, ask: core.Ask, call: Call) -> core.Answer:
        """Go down the ladder: the arm's model, the other one, the popular movies. Never later than the deadline."""
        query = {"n": str(ask.n), "exclude": ",".join(ask.exclude)}
        try:
            found = await self.models.first(call.arms, f"top/{ask.user_id}", query, Recommendation, call.left_seconds)
        except (NotFound, NotReady):
            everybodys = self.popular.get()
            movies = core.popular(everybodys.movies, ask.n, ask.exclude)
            return core.Answer(movies, "popular", everybodys.model, self.deps.settings.k_revision)
        return core.Answer(found.movies, found.rung, found.model, found.revision)

    def record(self, ask: core.Ask, answer: core.Answer, call: Call) -> None:
        """Count what is served, and hand the record of it to Kafka; no failure of that costs the user the answer."""
        try:
            self._record(ask, answer, call)
        except Exception as error:
            telemetry.EVENTS_DROPPED.inc()
            reason = repr(error)[:500]
            if reason != self.unrecorded:  # a thousand requests that fail together are no news
                self.unrecorded = reason
                self.deps.log.warning("answer_not_recorded", reason=reason)

    def _record(self, ask: core.Ask, answer: core.Answer, call: Call) -> None:
        seconds = time.perf_counter() - call.started
        telemetry.REQUESTS.labels(answer.rung, call.arm).inc()
        telemetry.LATENCY.observe(seconds)
        served = RecommendationServed(
            request_id=call.id,
            user_id=ask.user_id,
            time=self.deps.now_us(),
            movies=tuple(answer.movies),
            latency_ms=round(seconds * 1000, 3),
            arm=call.arm,
            rung=answer.rung,
            model=answer.model,
            revision=answer.revision,
        )
        self.served.publish(served, key=ask.user_id)


function = Once(lambda: Recommend(bootstrap.build("recommend", writes=False)))


async def recommend(request: Request) -> Response:
    """Answer one user."""
    started, request_id = time.perf_counter(), _request_id(request)
    function_ = await function()
    query = request.query_params
    try:
        ask = core.ask(request.path_params["user_id"], query.getlist("n"), query.getlist("exclude"))
    except BadInput as error:
        return _refused(400, str(error), request_id)
    call = function_.call(request_id, ask.user_id, started)
    answer = await function_.answer(ask, call)
    function_.record(ask, answer, call)
    headers = _headers(answer, call)
    if not _wants_json(request):
        return PlainTextResponse(",".join(answer.movies) + "\n", headers=headers)
    called = titles(answer.movies, function_.titles.get())
    body = Recommended(
        user_id=ask.user_id,
        movies=list(answer.movies),
        titles=[called[movie] for movie in answer.movies],
        model=answer.model,
        revision=answer.revision,
        rung=answer.rung,
        arm=call.arm,
        request_id=request_id,
    )
    return JSONResponse(body.model_dump(), headers=headers)


async def explain(request: Request) -> Response:
    """Say why a movie stands where it does for a user, by the model that the user's list is from."""
    started, request_id = time.perf_counter(), _request_id(request)
    function_ = await function()
    user_id, movie = request.path_params["user_id"], request.path_params["movie_id"]
    try:
        core.check_user(user_id)
        asking.check_movie(movie)
        call = function_.call(request_id, user_id, started)
        path = f"explain/{user_id}/{quote(movie, safe='')}"
        found = await function_.models.first(call.arms, path, {}, Explanation, call.left_seconds)
    except BadInput as error:
        return _refused(400, str(error), request_id)
    except NotFound:
        return _refused(404, f"no model knows both user {user_id} and movie {movie!r}", request_id)
    except NotReady as error:
        return problem(503, str(error), {"x-request-id": request_id, "cache-control": "no-store"})
    headers = _headers(core.Answer([found.movie], found.rung, found.model, found.revision), call)
    called = titles([found.movie, *(each.movie for each in found.because)], function_.titles.get())
    if not _wants_json(request):
        return PlainTextResponse(words(found, called), headers=headers)
    body = Explained(**dict(found), titles=called, arm=call.arm, request_id=request_id)
    return JSONResponse(body.model_dump(), headers=headers)


async def describe(_: Request) -> Response:
    """Answer what can be asked, and how."""
    return JSONResponse(openapi.DOCUMENT)


def _request_id(request: Request) -> str:
    given = request.headers.get("x-request-id", "")
    return given if core.is_plain(given) else uuid.uuid4().hex


def _wants_json(request: Request) -> bool:
    return core.prefers_json(",".join(request.headers.getlist("accept")))


def _headers(answer: core.Answer, call: Call) -> dict[str, str]:
    return {
        "cache-control": "no-store",
        "x-request-id": call.id,
        "x-marquee-model": answer.model,
        "x-marquee-revision": answer.revision,
        "x-marquee-rung": answer.rung,
        "x-marquee-arm": call.arm,
        "vary": "accept",
    }


def _refused(status: int, why: str, request_id: str, headers: Mapping[str, str] | None = None) -> Response:
    telemetry.BAD_REQUESTS.inc()
    return problem(status, why, {**(headers or {}), "x-request-id": request_id, "cache-control": "no-store"})


def _nowhere(request: Request, error: HTTPException) -> Response:
    return _refused(error.status_code, error.detail, _request_id(request), error.headers)


app = function_app(
    function,
    [
        Route("/recommend/{user_id:anything}", recommend),
        Route("/explain/{user_id:anything}/{movie_id:anything}", explain),
        Route("/openapi.json", describe),
    ],
    _nowhere,
)

main = target(app)

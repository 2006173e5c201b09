"""Answer `GET /top/<userid>` from one immutable model, and follow the channel that says which."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from functions.score import core
from shared import bootstrap, keys, telemetry
from shared.adapters.entrypoint import Once, function_app, problem, target
from shared.adapters.follow import Follower
from shared.errors import Corrupt, NotFound, NotReady
from shared.recommendation import Recommendation


@dataclass
class Score:
    """The deployed function: one algorithm, and the model that answers now."""

    deps: bootstrap.Deps
    refused: str | None = None

    def __post_init__(self) -> None:
        settings = self.deps.settings
        self.algorithm = settings.algorithm
        self.serving = Follower(f"model of {self.algorithm}", self.fetch, settings.channel_poll_seconds)

    def fetch(self, held: core.Serving | None) -> core.Serving | None:
        """Return the model that the channel names; Corrupt if it fails any check, each such model counted once."""
        state = self.deps.channels.get(keys.score_service(self.algorithm))
        if not state or (held and held.model_version == state.get("model_version")):
            return held
        try:
            model = self.deps.artifacts.get(keys.model(self.algorithm, state["model_version"]))
            matrix = self.deps.artifacts.get(keys.matrix(state["matrix_id"]))
            serving = core.load(model, matrix)
        except (Corrupt, NotFound, KeyError) as error:
            version = str(state.get("model_version"))
            if version != self.refused:
                telemetry.MODEL_REFUSED.labels(self.algorithm).inc()
            self.refused = version
            raise Corrupt(f"{version}: {error!r}") from error
        telemetry.MODEL_INFO.clear()
        telemetry.MODEL_INFO.labels(self.algorithm, serving.model_version).set(1)
        self.deps.log.info("model_loaded", algorithm=self.algorithm, model=serving.model_version)
        return serving


async def ready() -> None:
    """Raise NotReady until there is a model."""
    (await score()).serving.get()


score = Once(lambda: Score(bootstrap.build("score", writes=False)))


async def top(request: Request) -> Response:
    """Answer the best movies of a user; 404 if the model does not know the user, 503 before the first model."""
    function = await score()
    try:
        serving = function.serving.get()
    except NotReady as error:
        return problem(503, str(error))
    exclude = [movie for movie in request.query_params.get("exclude", "").split(",") if movie]
    try:
        n = int(request.query_params.get("n", "20"))
        found = core.top_n(serving, request.path_params["user_id"], n, exclude)
    except NotFound as error:
        return problem(404, str(error))
    except ValueError as error:
        return problem(400, str(error))
    answer = Recommendation(
        movies=found.movies,
        scores=found.scores,
        ratings=found.ratings,
        rung="personal",
        model=f"{function.algorithm}@{serving.model_version}",
        revision=function.deps.settings.k_revision,
    )
    return JSONResponse(answer.model_dump())


app = function_app(ready, [Route("/top/{user_id}", top)])

main = target(app)

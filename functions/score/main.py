"""Answer what a user shall watch and why, from one immutable model and what users did since it was trained."""

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from functions.score import core
from functions.score.served import Score, Served
from shared import asking, bootstrap
from shared.adapters.entrypoint import Once, function_app, problem, target
from shared.errors import BadInput, NotFound, NotReady
from shared.recommendation import Model, Recommendation

_EXAMPLES = 3

score = Once(lambda: Score(bootstrap.build("score", writes=False)))


async def ready() -> None:
    """Raise NotReady until there is a model and, unless that takes too long, what users did since its matrix."""
    (await score()).ready()


def answered(error: Exception) -> Response:
    """Return the problem that an error is."""
    status = 404 if isinstance(error, NotFound) else 503 if isinstance(error, NotReady) else 400
    return problem(status, str(error))


async def top(request: Request) -> Response:
    """Answer the best movies of a user; 404 if nothing is known of the user, 503 before the first model."""
    function = await score()
    query = request.query_params
    try:
        n, exclude = asking.number(query.getlist("n")), asking.excluded(query.getlist("exclude"))
        served, user = _user(function, request.path_params["user_id"])
        movies, found = core.top_n(served.serving, user, n, exclude)
    except (BadInput, NotFound, NotReady) as error:
        return answered(error)
    return _json(
        Recommendation(
            movies=movies,
            scores=found.scores.tolist(),
            ratings=found.ratings.tolist(),
            rung=user.rung,
            **function.made_by(served),
        )
    )


async def explain(request: Request) -> Response:
    """Answer why a movie stands where it does for a user; 404 if nothing is known of the user or the movie."""
    function = await score()
    user_id, movie = request.path_params["user_id"], request.path_params["movie_id"]
    try:
        served, user = _user(function, user_id)
        return _json(core.why(served.serving, user, user_id, movie, **function.made_by(served)))
    except (NotFound, NotReady) as error:
        return answered(error)


async def model(_: Request) -> Response:
    """Answer which model answers, and for whom it surely can; 503 before the first model."""
    function = await score()
    try:
        served = function.served.get()
    except NotReady as error:
        return answered(error)
    return _json(Model(users=served.serving.model.users[:_EXAMPLES], **function.made_by(served)))


async def popular(_: Request) -> Response:
    """Answer what everybody likes these days; 503 before the first count."""
    function = await score()
    try:
        return _json(function.popular.get())
    except NotReady as error:
        return answered(error)


def _user(function: Score, user_id: str) -> tuple[Served, core.Known]:
    """Return the model that answers this request from now on, and what is known of the user."""
    served = function.served.get()
    user = served.user(user_id)
    if user is None:
        raise NotFound(f"nothing is known of user {user_id[:40]!r}")
    return served, user


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), media_type="application/json")


app = function_app(
    ready,
    [
        Route("/top/{user_id}", top),
        Route("/explain/{user_id}/{movie_id}", explain),
        Route("/popular", popular),
        Route("/model", model),
    ],
)

main = target(app)

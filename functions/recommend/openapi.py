"""What can be asked, and how, for people and for programs: an OpenAPI 3.1 document."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from functions.recommend.answers import Explained, Problem, Recommended
from shared.asking import EXCLUDE_MOST, EXCLUDE_MOST_BYTES
from shared.lines import USER_ID
from shared.recommendation import N_MOST

Part = Mapping[str, Any]

_MOVIE: Final = r"^[0-9A-Za-z_][0-9A-Za-z_+.-]{0,255}$"
"""The plain movie ids. Others are answered too, see `shared.lines`."""


def _parameter(name: str, place: str, what: str, schema: Part, **more: Any) -> Part:
    return {"name": name, "in": place, "description": what, "required": place == "path", "schema": schema, **more}


_USER_ID: Final = _parameter(
    "user_id", "path", "The site's id of a user.", {"type": "string", "pattern": f"^{USER_ID}$"}
)
_MOVIE_ID: Final = _parameter("movie_id", "path", "The site's id of a movie.", {"type": "string", "pattern": _MOVIE})
_REQUEST_ID: Final = _parameter("X-Request-Id", "header", "Echoed, if it is plain text.", {"type": "string"})
_N: Final = _parameter(
    "n", "query", "How many movies.", {"type": "integer", "minimum": 1, "maximum": N_MOST, "default": N_MOST}
)
_EXCLUDE: Final = _parameter(
    "exclude",
    "query",
    f"Movies not to recommend, at most {EXCLUDE_MOST_BYTES} bytes together.",
    {"type": "array", "maxItems": EXCLUDE_MOST, "items": {"type": "string", "pattern": _MOVIE}},
    explode=False,
)


def _ref(model: str) -> Part:
    return {"schema": {"$ref": f"#/components/schemas/{model}"}}


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"schema": {"type": "string"}, "required": True} for name in names}


_IDENTIFIED: Final = _headers("X-Request-Id", "Cache-Control")
_MADE_BY: Final = _IDENTIFIED | _headers("X-Marquee-Model", "X-Marquee-Revision", "X-Marquee-Rung", "X-Marquee-Arm")


def _answer(what: str, content: Part, headers: Part | None = None) -> Part:
    return {"description": what, "headers": headers or {}, "content": content}


def _text(what: str, headers: Part | None = None) -> Part:
    return _answer(what, {"text/plain": {"schema": {"type": "string"}}}, headers)


def _either(what: str, model: str) -> Part:
    """Return the answer that is text or, when the Accept header prefers it, JSON."""
    content = {"text/plain": {"schema": {"type": "string"}}, "application/json": _ref(model)}
    return _answer(what, content, _MADE_BY)


def _problem(what: str, headers: Part | None = None) -> Part:
    return _answer(what, {"application/problem+json": _ref("Problem")}, headers)


def _get(summary: str, responses: Part, *parameters: Part) -> Part:
    operation = {"summary": summary, "operationId": summary.split(":")[0].replace(" ", "_").lower()}
    return {"get": operation | {"parameters": list(parameters), "responses": responses}}


_PATHS: Final[Part] = {
    "/recommend/{user_id}": _get(
        "Recommend: movies for a user, best first",
        {
            "200": _either("At most `n` movies: as text one line of ids with commas.", "Recommended"),
            "400": _problem("No user's id, or a parameter that makes no sense.", _IDENTIFIED),
        },
        _USER_ID,
        _N,
        _EXCLUDE,
        _REQUEST_ID,
    ),
    "/explain/{user_id}/{movie_id}": _get(
        "Explain: why a movie stands where it does for a user",
        {
            "200": _either("The parts of the movie's score: as text in words.", "Explained"),
            "400": _problem("No user's or no movie's id.", _IDENTIFIED),
            "404": _problem("No model knows this user and this movie.", _IDENTIFIED),
            "503": _problem("No model answered in time.", _IDENTIFIED),
        },
        _USER_ID,
        _MOVIE_ID,
        _REQUEST_ID,
    ),
    "/health/liveness": _get("Liveness: does the process answer", {"200": _text("It does.")}),
    "/health/readiness": _get(
        "Readiness: may the process get requests", {"200": _text("It may."), "503": _problem("Not yet.")}
    ),
    "/metrics": _get("Metrics: for Prometheus", {"200": _text("The metrics of this process.")}),
    "/openapi.json": _get(
        "Describe: this document",
        {"200": _answer("OpenAPI 3.1.", {"application/json": {"schema": {"type": "object"}}})},
    ),
}


def _document() -> dict[str, Any]:
    models = [(model, "serialization") for model in (Recommended, Explained, Problem)]
    _, schemas = models_json_schema(models, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    return {
        "openapi": "3.1.0",
        "info": {"title": "Marquee", "version": "1", "description": "Movie recommendations."},
        "paths": _PATHS,
        "components": {"schemas": schemas["$defs"]},
    }


DOCUMENT: Final = _document()

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection

from functions.recommend import openapi
from tests import entry, fakes
from tests.unit.functions.recommend.score import Score, serving

PATHS = openapi.DOCUMENT["paths"]
ASKS = [
    *((path, GenerationMode.POSITIVE) for path in PATHS),
    *((path, GenerationMode.NEGATIVE) for path in PATHS if PATHS[path]["get"]["parameters"]),
]


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    with (
        pytest.MonkeyPatch.context() as patch,
        serving(Score("svd")) as svd,
        serving(Score("svdpp")) as svdpp,
    ):
        patient = {"hedge_ms": "9000", "deadline_ms": "20000"}  # no machine is so busy that a model looks slow
        deps = fakes.deps(tmp_path_factory.mktemp("api"), score_svd_url=svd.url, score_svdpp_url=svdpp.url, **patient)
        with entry.client("recommend", deps, patch) as client:
            yield schemathesis.openapi.from_asgi("/openapi.json", client.app)


@pytest.mark.parametrize(("path", "mode"), ASKS)
def test_what_is_documented_is_what_happens(api, path, mode):
    """Every answer to anything that the document allows, or does not allow, is one that the document says."""
    operation = api[path]["get"]

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def ask(data):
        case = data.draw(operation.as_strategy(generation_mode=mode))
        case.call_and_validate(excluded_checks=[negative_data_rejection])  # movie ids beyond the document's are good

    ask()


def test_the_document_is_openapi(api):
    """By the rules of OpenAPI 3.1."""
    assert openapi.DOCUMENT["openapi"] == "3.1.0"
    api.validate()

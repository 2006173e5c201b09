import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from infra.local import envoy


def problems(folder: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Return what Envoy answers by itself, by the comparison of the status."""
    (chain,) = envoy.listener("recommend", 8082, folder)["filter_chains"]
    found = {}
    for each in chain["filters"][0]["typed_config"]["local_reply_config"]["mappers"]:
        compared = each["filter"]["status_code_filter"]["comparison"]
        found[compared["op"], compared["value"]["default_value"]] = each
    return found


def test_what_envoy_refuses_itself_is_a_problem_with_the_id_of_the_request(tmp_path: Path) -> None:
    """As what the functions refuse; each has its own words, and what nobody thought of those of Envoy."""
    found = problems(tmp_path)
    assert list(found) == [*(("EQ", status) for status in (400, 403, 404, 431, 503, 504)), ("GE", 400)]
    for (op, status), each in found.items():
        body = each["body_format_override"]
        assert body["content_type"] == "application/problem+json"
        assert body["json_format"]["detail"]
        assert body["json_format"]["status"] == (status if op == "EQ" else "%RESPONSE_CODE%")
        assert [added["header"]["key"] for added in each["headers_to_add"]] == ["x-request-id"]


def test_envoy_takes_the_listener_of_a_service(tmp_path: Path) -> None:
    """It is asked itself."""
    (tmp_path / envoy.routes_file("s")).write_text(json.dumps({"resources": [envoy.routes("s", [])]}))
    listener = {name: value for name, value in envoy.listener("s", 8082, tmp_path).items() if name != "@type"}
    told = {"node": {"id": "a", "cluster": "b"}, "static_resources": {"listeners": [listener]}}
    (tmp_path / "envoy.yaml").write_text(json.dumps(told))
    command = [Path(sys.executable).parent / "envoy", "--mode", "validate", "-c", tmp_path / "envoy.yaml"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_restart_costs_no_answer_and_an_overload_is_not_made_worse() -> None:
    """All that one process can be answering is tried again at once; of a crowd's requests no more than a fifth."""
    (threshold,) = envoy.cluster("score-svd-00001", [1, 2])["circuit_breakers"]["thresholds"]
    assert threshold["retry_budget"] == {"budget_percent": {"value": 20}, "min_retry_concurrency": 64}
    assert "max_retries" not in threshold  # Envoy would not look at it
    assert threshold["max_requests"] > 5 * threshold["retry_budget"]["min_retry_concurrency"]

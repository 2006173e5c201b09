from infra.local import envoy


def test_a_restart_costs_no_answer_and_an_overload_is_not_made_worse() -> None:
    """All that one process can be answering is tried again at once; of a crowd's requests no more than a fifth."""
    (threshold,) = envoy.cluster("score-svd-00001", [1, 2])["circuit_breakers"]["thresholds"]
    assert threshold["retry_budget"] == {"budget_percent": {"value": 20}, "min_retry_concurrency": 64}
    assert "max_retries" not in threshold  # Envoy would not look at it
    assert threshold["max_requests"] > 5 * threshold["retry_budget"]["min_retry_concurrency"]

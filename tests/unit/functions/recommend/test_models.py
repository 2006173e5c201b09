import asyncio
from typing import Any

import pytest

from functions.recommend.core import Arm
from functions.recommend.ladder import FAILURES_MOST
from functions.recommend.models import Models
from shared.errors import NotReady
from shared.ports import Target
from shared.recommendation import Recommendation
from tests.unit.functions.recommend.score import Score, serving


class Log:
    def __init__(self) -> None:
        self.warnings: list[dict[str, Any]] = []

    def warning(self, event: str, **facts: Any) -> None:
        self.warnings.append({"event": event, **facts})


async def test_requests_that_fail_together_do_not_fill_the_log():
    """Fifty at once at a dead model: each fails, the log has the first few, with arm and reason."""
    log = Log()
    models = Models(log, hedge_seconds=0.1, in_flight_most=100)
    arm = Arm("svd", Target("r", "stable", 100, "http://127.0.0.1:1"))
    asks = [models.ask(arm, "top/1", {}, Recommendation) for _ in range(50)]
    found = await asyncio.gather(*asks, return_exceptions=True)
    await models.http.close()
    assert {type(each) for each in found} == {NotReady}
    assert len(log.warnings) == FAILURES_MOST
    assert {(each["arm"], each["reason"]) for each in log.warnings} == {("svd:stable", "error")}


@pytest.mark.parametrize(("status", "is_blamed"), [(400, False), (431, False), (408, True), (429, True), (500, True)])
async def test_a_model_is_not_blamed_for_a_request_that_is_refused(status, is_blamed):
    """Whatever somebody sends, it takes the model from nobody else: only its own failures open the breaker."""
    models = Models(Log(), hedge_seconds=0.1, in_flight_most=100)
    with serving(Score("svd", status=status)) as score:
        arm = Arm("svd", Target("r", "stable", 100, score.url))
        for _ in range(2 * FAILURES_MOST):
            with pytest.raises(NotReady):
                await models.ask(arm, "top/1", {}, Recommendation)
        await models.http.close()
    assert len(score.asked) == (FAILURES_MOST if is_blamed else 2 * FAILURES_MOST)

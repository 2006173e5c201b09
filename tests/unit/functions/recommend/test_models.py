import asyncio
from typing import Any

import pytest

from functions.recommend.core import Arm
from functions.recommend.ladder import FAILURES_MOST, HEDGES_MOST, HEDGES_SHARE
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


async def test_when_all_is_slow_not_everything_is_asked_twice() -> None:
    """Every request is slow enough to be hedged: a fifth of them are, and a few."""
    models = Models(Log(), hedge_seconds=0.02, in_flight_most=100)
    with serving(Score("svd", seconds=0.1)) as svd, serving(Score("svdpp", seconds=0.1)) as svdpp:
        arms = [Arm("svd", Target("r", "stable", 100, svd.url)), Arm("svdpp", Target("s", "stable", 100, svdpp.url))]
        for _ in range(4):
            asks = [models.first(arms, "top/1", {}, Recommendation, 30) for _ in range(25)]
            await asyncio.gather(*asks)
        await models.http.close()
    assert len(svd.asked) + len(svdpp.asked) <= 100 * (1 + HEDGES_SHARE) + HEDGES_MOST

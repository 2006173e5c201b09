import asyncio
from typing import Any

from functions.recommend.core import Arm
from functions.recommend.ladder import FAILURES_MOST
from functions.recommend.models import Models
from shared.errors import NotReady
from shared.ports import Target
from shared.recommendation import Recommendation


class Log:
    def __init__(self) -> None:
        self.warnings: list[dict[str, Any]] = []

    def warning(self, event: str, **facts: Any) -> None:
        self.warnings.append({"event": event, **facts})


async def test_requests_that_fail_together_do_not_fill_the_log():
    """Fifty at once at a dead model: each fails, the log has the first few, with arm and reason."""
    log = Log()
    models = Models(log, hedge_seconds=0.1)
    arm = Arm("svd", Target("r", "stable", 100, "http://127.0.0.1:1"))
    asks = [models.ask(arm, "top/1", {}, Recommendation) for _ in range(50)]
    found = await asyncio.gather(*asks, return_exceptions=True)
    await models.http.close()
    assert {type(each) for each in found} == {NotReady}
    assert len(log.warnings) == FAILURES_MOST
    assert {(each["arm"], each["reason"]) for each in log.warnings} == {("svd:stable", "error")}

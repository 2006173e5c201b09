import asyncio
from collections.abc import Awaitable, Callable

import pytest

from functions.recommend import ladder
from shared.errors import MarqueeError, NotFound, NotReady

HEDGE = 0.1


class Models:
    """Models that answer, or fail, after a while, and remember what became of each call."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def model(self, name: str, seconds: float, error: MarqueeError | None = None) -> Callable[[], Awaitable[str]]:
        async def ask() -> str:
            self.calls.append(f"{name} asked")
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                self.calls.append(f"{name} cancelled")
                raise
            if error:
                raise error
            return name

        return ask


@pytest.fixture
def models() -> Models:
    return Models()


async def test_who_answers_soon_is_asked_alone(models: Models) -> None:
    """No second call for a model that is quick."""
    assert await ladder.first([models.model("own", 0), models.model("other", 0)], HEDGE, 1) == "own"
    assert models.calls == ["own asked"]


async def test_after_a_while_the_next_is_asked_and_the_first_to_answer_counts(models: Models) -> None:
    """Silence costs the hedge, not the deadline, and the silent call is cancelled."""
    began = asyncio.get_running_loop().time()
    assert await ladder.first([models.model("own", 9), models.model("other", 0)], HEDGE, 1) == "other"
    assert HEDGE <= asyncio.get_running_loop().time() - began < 1
    await asyncio.sleep(0)
    assert models.calls == ["own asked", "other asked", "own cancelled"]


async def test_the_own_answer_counts_though_the_other_was_asked(models: Models) -> None:
    """Asking the other does not give up the own, and who loses is cancelled."""
    assert await ladder.first([models.model("own", 0.15), models.model("other", 9)], HEDGE, 1) == "own"
    await asyncio.sleep(0)
    assert models.calls == ["own asked", "other asked", "other cancelled"]


async def test_of_two_answers_at_once_the_own_counts() -> None:
    """Both are there when the loop looks: the user keeps the own model."""
    gate = asyncio.Event()

    async def ask(name: str) -> str:
        await gate.wait()
        return name

    asyncio.get_running_loop().call_later(0.05, gate.set)
    assert await ladder.first([lambda: ask("own"), lambda: ask("other")], 0.01, 1) == "own"


@pytest.mark.parametrize("error", [NotReady("refused"), NotFound("who?")])
async def test_a_failure_asks_the_next_at_once(models: Models, error: MarqueeError) -> None:
    """Neither an error nor an unknown user waits for the hedge."""
    began = asyncio.get_running_loop().time()
    assert await ladder.first([models.model("own", 0, error), models.model("other", 0)], 5, 9) == "other"
    assert asyncio.get_running_loop().time() - began < 1


async def test_a_failure_of_the_second_leaves_time_to_the_first(models: Models) -> None:
    """A slow own model is waited for when the other fails."""
    second = models.model("other", 0, NotReady("refused"))
    assert await ladder.first([models.model("own", 0.2), second], HEDGE, 1) == "own"


async def test_nobody_in_time_is_not_ready(models: Models) -> None:
    """At the deadline all calls end; with no time left none begins."""
    began = asyncio.get_running_loop().time()
    with pytest.raises(NotReady, match="in time"):
        await ladder.first([models.model("own", 9), models.model("other", 9)], HEDGE, 0.25)
    assert 0.25 <= asyncio.get_running_loop().time() - began < 1
    await asyncio.sleep(0)
    assert models.calls[2:] == ["own cancelled", "other cancelled"]
    models.calls.clear()
    with pytest.raises(NotReady):
        await ladder.first([models.model("own", 0)], HEDGE, 0)
    assert models.calls == []


@pytest.mark.parametrize("order", [1, -1])
async def test_who_knows_that_there_is_nothing_outweighs_who_fails(models: Models, order: int) -> None:
    """One model does not know the user and the other is away: the user is unknown, as far as anybody can tell."""
    asks = [models.model("a", 0, NotFound("who?")), models.model("b", 0, NotReady("refused"))]
    with pytest.raises(NotFound, match=r"who\?"):
        await ladder.first(asks[::order], HEDGE, 1)


async def test_who_may_not_hedge_waits_and_still_asks_the_next_after_a_failure(models: Models) -> None:
    """What bounds hedges costs nobody the other model's answer to an error."""
    asks = [models.model("own", 0.2), models.model("other", 0)]
    assert await ladder.first(asks, 0.01, 5, lambda: False) == "own"
    assert models.calls == ["own asked"]
    asks = [models.model("own", 0.1, NotReady("refused")), models.model("other", 0)]
    assert await ladder.first(asks, 0.01, 5, lambda: False) == "other"


def test_hedges_are_a_fifth_of_the_requests_of_late_and_a_few() -> None:
    """However many want one; what was saved up in quiet times is no more than the few."""
    hedges = ladder.Hedges()
    for _ in range(1_000):
        hedges.earn()
    assert sum(hedges.spend() for _ in range(1_000)) == ladder.HEDGES_MOST
    spent = 0
    for _ in range(1_000):
        hedges.earn()
        spent += hedges.spend()
    assert spent == pytest.approx(1_000 * ladder.HEDGES_SHARE, abs=1)


def test_a_breaker_asks_now_and_then_until_there_is_an_answer() -> None:
    """Five failures in a row, and only one call a second gets through; an answer closes it."""
    breaker = ladder.Breaker()
    for now in range(4):
        breaker.failed(now)
    assert breaker.allows(3)
    breaker.failed(4)
    assert [breaker.allows(now) for now in (4, 4.9, 5.1, 5.2, 6.0, 6.2, 6.3)] == [
        *(False, False, True, False, False, True, False),
    ]
    breaker.answered()
    assert breaker.allows(6.3)


def test_failures_that_answers_come_between_open_no_breaker() -> None:
    """A model that fails now and then is asked always."""
    breaker = ladder.Breaker()
    for now in range(50):
        breaker.failed(now)
        if now % 4 == 3:
            breaker.answered()
        assert breaker.allows(now)

"""Copies that die anywhere, or act at once in any order, and a store that answers as stores do."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import Conflict, MarqueeError, NotReady
from shared.events import Tick
from shared.ports import Tagged
from tests import fakes
from tests.unit.functions.rollout.world import Killed, World, handle

LIFE = [
    (1, "deploying", "m1"),
    (2, "promoted", "m1"),
    (3, "deploying", "m2"),
    (4, "canary", "m2"),
    (5, "canary", "m2"),
    (6, "promoted", "m2"),
    (7, "deploying", "m3"),
    (8, "canary", "m3"),
    (9, "rolled_back", "m3"),
]
USERS = [
    {"": 100},
    {"m1": 100},
    {"m1": 95, "m2": 5},
    {"m1": 75, "m2": 25},
    {"m2": 100},
    {"m2": 95, "m3": 5},
    {"m2": 100},
]


def events(world: World) -> list[Any]:
    """Return what happens to a service: a first model, a better one, a worse one."""
    return [
        world.pass_gate("m1", 1),
        Tick(),
        world.pass_gate("m2", 2),
        Tick(),
        world.decide("m2", 3, "hold"),
        world.decide("m2", 4, "promote"),
        world.pass_gate("m3", 3),
        Tick(),
        world.decide("m3", 5, "roll_back"),
        Tick(),
        Tick(),
    ]


def claim_one_life(world: World) -> None:
    """Every step happened once, everybody who listens knows all of them, and the users followed."""
    assert world.steps == LIFE
    assert sorted(set(world.told)) == LIFE
    assert world.state.announced == len(LIFE)
    assert world.svd.history == USERS


@dataclass
class Around:
    """A way to the outside that asks before each call, and again after it."""

    inner: Any
    before: Callable[[str], None]
    after: Callable[[str], None] = lambda _: None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        if not callable(method):
            return method

        def asked(*arguments: Any) -> Any:
            self.before(name)
            found = method(*arguments)
            self.after(name)
            return found

        return asked


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_copy_may_die_at_any_call(when: str) -> None:
    """Before it was done, or after: the next one, handed the same event, goes on, and nothing is done twice."""
    deadly, was_reached = 0, True
    while was_reached:
        calls = 0
        was_reached = False

        def count(_: str) -> None:
            nonlocal calls, was_reached
            calls += 1
            if calls == deadly + 1:  # noqa: B023
                was_reached = True
                raise Killed

        world = World.new(canary_step_seconds="1")
        around = {"before": (count,), "after": (lambda _: None, count)}[when]
        for event in events(world):
            try:
                handle(event, world.copy(lambda port, around=around: Around(port, *around)))
            except Killed:
                handle(event, world.copy())
            world.seconds += 2
        claim_one_life(world)
        deadly += 1
    assert deadly > 50


class Faults:
    """What a store does instead of writing: answer that somebody was first, nothing, or nothing after it wrote."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults

    def around(self, port: Any) -> Any:
        return Faulty(port, self.faults) if isinstance(port, fakes.MemoryStore) else port


@dataclass
class Faulty:
    inner: fakes.MemoryStore
    faults: list[str]

    def get(self, key: str) -> Tagged:
        return self.inner.get(key)

    def put_new(self, key: str, data: bytes) -> None:
        self._put(lambda: self.inner.put_new(key, data))

    def put_if(self, key: str, data: bytes, tag: str) -> None:
        self._put(lambda: self.inner.put_if(key, data, tag))

    def _put(self, write: Callable[[], None]) -> None:
        fault = self.faults.pop() if self.faults else "none"
        if fault == "refused":
            raise Conflict("412")
        if fault == "silent":
            raise NotReady("no answer, and nothing was written")
        write()
        if fault == "lost":
            raise NotReady("no answer, but it was written")


@given(st.lists(st.sampled_from(["none", "none", "refused", "silent", "lost"]), max_size=40))
@settings(max_examples=60)
def test_a_store_that_answers_badly_makes_nothing_happen_twice(faults: list[str]) -> None:
    """An event whose handling failed comes again, as the source promises."""
    world, store = World.new(canary_step_seconds="1"), Faults(faults)
    for event in events(world):
        while True:
            try:
                handle(event, world.copy(store.around))
                break
            except MarqueeError:
                continue
        world.seconds += 2
    claim_one_life(world)


@dataclass
class Turns:
    """Lets one of several threads go on, from one call to the outside to the next."""

    waiting: dict[int, threading.Event] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, number: int) -> None:
        """Called by a thread: go on when it is told to."""
        go = threading.Event()
        with self.changed:
            self.waiting[number] = go
            self.changed.notify_all()
        go.wait()

    def run(self, work: list[Callable[[], None]], choose: Callable[[list[int]], int]) -> None:
        """Run all to their end, one at a time; `choose` says who goes on."""
        alive = set(range(len(work)))

        def whole(number: int) -> None:
            self.wait(number)
            work[number]()
            with self.changed:
                alive.discard(number)
                self.changed.notify_all()

        threads = [threading.Thread(target=whole, args=(number,), daemon=True) for number in alive]
        for thread in threads:
            thread.start()
        while True:
            with self.changed:
                self.changed.wait_for(lambda: alive == self.waiting.keys(), timeout=10)
                if not alive:
                    break
                self.waiting.pop(choose(sorted(alive))).set()
        for thread in threads:
            thread.join(10)


@given(st.data())
@settings(max_examples=60)
def test_two_copies_may_act_at_once_in_any_order(data: st.DataObject) -> None:
    """Both get every event; each step is taken once, and no traffic that there ever was is of a state that had passed.

    What fails with a conflict comes again, as the source promises.
    """
    world, turns = World.new(canary_step_seconds="1"), Turns()

    def at_once(event: Any, number: int) -> None:
        copy = world.copy(lambda port: Around(port, lambda _: turns.wait(number)))
        for _ in range(20):
            try:
                handle(event, copy)
                return
            except Conflict:
                continue

    for event in events(world):
        work = [lambda number=number, event=event: at_once(event, number) for number in range(2)]  # type: ignore[misc]
        turns.run(work, lambda alive: data.draw(st.sampled_from(alive)))
        world.seconds += 2
    claim_one_life(world)


@given(st.data())
@settings(max_examples=60)
def test_events_of_different_steps_may_race(data: st.DataObject) -> None:
    """A step on and a step back at once: whichever is stored first, in the end who was refused has no user."""
    world, turns = World.new(canary_step_seconds="1"), Turns()
    for event in events(world)[:4]:
        handle(event, world.copy())
    world.seconds += 2
    racing = [
        [world.decide("m2", 10, "hold"), Tick()],
        [world.decide("m2", 11, "roll_back"), Tick()],
        [world.pass_gate("m3", 3), Tick()],
    ]

    def at_once(queue: list[Any], number: int) -> None:
        copy = world.copy(lambda port: Around(port, lambda _: turns.wait(number)))
        for event in queue:
            for _ in range(20):
                try:
                    handle(event, copy)
                    break
                except Conflict:
                    continue

    work = [lambda queue=queue, number=number: at_once(queue, number) for number, queue in enumerate(racing)]  # type: ignore[misc]
    turns.run(work, lambda alive: data.draw(st.sampled_from(alive)))
    for _ in range(3):
        handle(Tick(), world.copy())
    whats = [step[1:] for step in world.steps]
    assert [step[0] for step in world.steps] == list(range(1, len(whats) + 1))
    assert whats.count(("rolled_back", "m2")) == whats.count(("deploying", "m3")) == whats.count(("canary", "m3")) == 1
    assert world.svd.users() == {"m1": 95, "m3": 5}
    shares = [users.get("m2", 0) for users in world.svd.history]
    gone = len(shares) - 1 - next(place for place, share in enumerate(reversed(shares)) if share)
    rising = shares[: gone + 1]
    assert rising == sorted(rising)
    assert sorted(set(world.told)) == world.steps

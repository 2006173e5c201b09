import re
import urllib.request

from infra.local.router import Router, Target, first_traffic
from tests.integration.conftest import Marquee, wait


def process_behind(url: str) -> str:
    """Return what tells the processes behind a route apart: when each started."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
        found = re.search(r"^process_start_time_seconds (\S+)", answer.read().decode(), re.MULTILINE)
    assert found
    return found[1]


def test_weights_change_without_a_restart(marquee: Marquee) -> None:
    """Traffic moves from one revision to another within seconds, no request fails, Envoy stays the same process."""
    machine = marquee.stack.machine
    first, second = (process_behind(machine.url(name)) for name in ("recommend-1", "recommend-2"))
    envoy = next(each.pid for each in marquee.stack.status() if each.name == "envoy")

    def shares(to_first: int) -> list[Target]:
        ports = [machine.port(name) for name in ("recommend-1", "recommend-2")]
        percents = (to_first, 100 - to_first)
        tags = ("stable", "canary")
        return [Target(f"r-{tag}", *each, tag) for tag, *each in zip(tags, percents, [[p] for p in ports], strict=True)]

    def seen() -> set[str]:
        return {process_behind(machine.url("recommend")) for _ in range(20)}

    try:
        with marquee.asking():
            for to_first, wanted in ((100, {first}), (0, {second}), (50, {first, second})):
                Router(machine).write({**first_traffic(machine), "recommend": shares(to_first)})
                wait(lambda wanted=wanted: seen() == wanted, 15, f"traffic of {to_first} %")  # type: ignore[misc]
    finally:
        Router(machine).write(first_traffic(machine))
    assert next(each.pid for each in marquee.stack.status() if each.name == "envoy") == envoy

"""Events per second that `ingest` makes durable, beside a function that does nothing with them."""

from pathlib import Path

from benchmarks.load import in_turn, requests_per_second
from benchmarks.machine import local
from benchmarks.process import empty
from benchmarks.report import Result

ROUNDS, SECONDS, THREADS = 3, 8, 64
SCRIPT = Path(__file__).with_name("record.lua")


def run() -> list[Result]:
    """Measure at 50 and at 200 in flight; the worse of the two ratios is the result."""
    details = {}
    threaded, asgi = empty("cloud_event", THREADS), empty("cloud_event_asgi")
    with (
        local("kafka", "s3", "ingest") as stack,
        threaded.running(),
        asgi.running(),
    ):
        ours = stack.machine.url("ingest") + "/movielog"
        for in_flight in (50, 200):
            rates = in_turn(
                ROUNDS,
                lambda: requests_per_second(ours, in_flight, SECONDS, SCRIPT),  # noqa: B023
                lambda: requests_per_second(threaded.url, in_flight, SECONDS, SCRIPT),  # noqa: B023
                lambda: requests_per_second(asgi.url, in_flight, SECONDS, SCRIPT),  # noqa: B023
            )
            details[in_flight] = dict(zip(("ours", "empty", "empty_asgi"), map(round, rates), strict=True))
    worst = min(details, key=lambda key: details[key]["ours"] / details[key]["empty"])
    ours_rate, peer_rate = details[worst]["ours"], details[worst]["empty"]
    return [
        Result(
            "ingest answers 2xx once an event is durable, at 0.8 or more of the rate of an empty CloudEvent function",
            ours_rate,
            peer_rate,
            "events/s",
            ours_rate / peer_rate,
            0.8,
            {f"{key} in flight": rates for key, rates in details.items()},
        )
    ]

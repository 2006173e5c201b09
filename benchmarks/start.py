"""Seconds from the start of `score` to its first list, beside an empty function started the same way."""

from benchmarks import serving
from benchmarks.load import in_turn
from benchmarks.machine import local
from benchmarks.process import Process, empty, part
from benchmarks.report import Result

ROUNDS = 7


def run() -> list[Result]:
    """Start them in turn: with the sample's model, and with one of 27,000 movies, 100 factors, 200,000 users.

    The sample's stands also beside an empty function that has imported the libraries a model's server needs and made
    boto3's client: what is above that is our own doing.
    """
    libraries = "an empty function with the same libraries"
    return [
        measured("the sample's model", serving.sample(), "an empty function", empty("web_page")),
        measured("the sample's model", serving.sample(), libraries, empty("libraries")),
        measured("27,000 movies x 100 factors", serving.large(), "an empty function", empty("web_page")),
    ]


def measured(name: str, served: serving.Served, called: str, peer: Process) -> Result:
    """Measure with one model, which waits in the bucket."""
    with local("s3") as stack:
        served.publish(stack, "svd")
        score = part(stack, "score-svd-1", f"/top/{served.model.users[0]}")
        ours, theirs = in_turn(ROUNDS, lambda: seconds_to_answer(score), lambda: seconds_to_answer(peer))
    claim = f"score answers its first list, {name}, within 1.5 times the time {called} needs to answer"
    return Result(claim, ours, theirs, "s", theirs / ours, 1 / 1.5)


def seconds_to_answer(process: Process) -> float:
    """Start a process, and stop it once it has answered."""
    with process.running() as seconds:
        return seconds

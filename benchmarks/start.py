"""Seconds from the start of `score` to its first list, beside an empty function started the same way."""

from benchmarks import serving
from benchmarks.load import in_turn
from benchmarks.machine import local
from benchmarks.process import Process, empty, part
from benchmarks.report import Result

ROUNDS = 7


def run() -> list[Result]:
    """Start them in turn: with the sample's model, and with one of 27,000 movies, 100 factors, 200,000 users."""
    return [measured("the sample's model", serving.sample()), measured("27,000 movies x 100 factors", serving.large())]


def measured(name: str, served: serving.Served) -> Result:
    """Measure with one model, which waits in the bucket."""
    with local("s3") as stack:
        served.publish(stack, "svd")
        score, peer = part(stack, "score-svd-1", f"/top/{served.model.users[0]}"), empty("web_page")
        ours, theirs = in_turn(ROUNDS, lambda: seconds_to_answer(score), lambda: seconds_to_answer(peer))
    claim = f"score answers its first list, {name}, within 1.5 times the time an empty function needs to answer"
    return Result(claim, ours, theirs, "s", theirs / ours, 1 / 1.5)


def seconds_to_answer(process: Process) -> float:
    """Start a process, and stop it once it has answered."""
    with process.running() as seconds:
        return seconds

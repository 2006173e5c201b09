"""Marquee on a real Knative, through Kourier, beside an empty function deployed the same way on the same cluster."""

import asyncio
import json
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path
from statistics import median

from benchmarks import serving
from benchmarks.cluster import EMPTY, answered, deploy, empty, host, ingress, is_ready, seconds_until, services, site
from benchmarks.load import in_turn, paced, requests_per_second
from benchmarks.report import Result
from cli.drill.cluster import on
from cli.drill.stage import SERVICE, Stage
from functions.rollout.core import order
from infra.cluster.site import Site
from shared import rollout
from shared.errors import NotReady

ROUNDS, SECONDS = 3, 8
IN_FLIGHT = 6  # as many as two pods take: knative/overlays/local brings a third from seven on
PACED_PER_SECOND, PACED_SECONDS = 50, 20
N_SAMPLED = 200
RELEASES, IN_A_ROW, BAR_SECONDS = 3, 20, 60.0


def run() -> list[Result]:
    """Measure requests through Kourier, and a new model's way to all users."""
    with site() as found:
        with on(found) as stage:
            released = [seconds_to_all(found, stage, f"planted-{number}") for number in range(RELEASES)]
        plain = [seconds_to_deploy(found, number) for number in range(RELEASES)]
        return [requests(found, stage), release(released, plain)]


def requests(site: Site, stage: Stage) -> Result:
    """Measure requests a second, and times at a steady pace, of users whom the model knows."""
    users, url = serving.some(stage.stable_model().users), ingress(site)
    ours, theirs = host("recommend"), host(EMPTY)
    with tempfile.TemporaryDirectory() as folder:
        script = serving.gets(Path(folder) / "users.lua", "/recommend/", users)
        ours_rate, peer_rate = in_turn(
            ROUNDS,
            lambda: requests_per_second(url, IN_FLIGHT, SECONDS, script, ours),
            lambda: requests_per_second(url, IN_FLIGHT, SECONDS, host=theirs),
        )
    pace = PACED_PER_SECOND, PACED_SECONDS
    times = {
        "ours": asyncio.run(paced([f"{url}/recommend/{user}" for user in users], *pace, host=ours)),
        "empty": asyncio.run(paced([url], *pace, host=theirs)),
    }
    return Result(
        "recommend through Kourier, in two pods, with the models in two each, at 0.2 of an empty function's rate",
        ours_rate,
        peer_rate,
        "requests/s",
        ours_rate / peer_rate,
        0.2,
        {
            f"milliseconds at {PACED_PER_SECOND} requests/s": times,
            f"rungs of {N_SAMPLED}": rungs(url, users[:N_SAMPLED]),
        },
    )


def rungs(url: str, users: list[str]) -> dict[str, int]:
    """Return how the lists of users were made. Raises: NotReady if not by a model, or there is no answer."""
    asked = (urllib.request.Request(f"{url}/recommend/{user}", headers={"Host": host("recommend")}) for user in users)
    counts = Counter(answered(request, lambda answer: str(answer.headers["x-marquee-rung"])) for request in asked)
    if counts["popular"] > len(users) // 10:
        raise NotReady(f"too many lists were not a model's: {dict(counts)}")
    return dict(counts)


def release(released: list[dict[str, float]], plain: list[float]) -> Result:
    """Return how long a model takes from the word that it is good to all users, beside a plain deployment."""
    ours, peer = (median(numbers) for numbers in ([each["all users"] for each in released], plain))
    return Result(
        f"a model that a person promotes at once has all users within {BAR_SECONDS:g} s of passing the gate",
        ours,
        peer,
        "s",
        peer / ours,
        peer / BAR_SECONDS,  # the peer gets no smoke test, no canary and nobody's word: it is there for scale
        {"seconds to, by release": released},
    )


def seconds_to_all(site: Site, stage: Stage, model_version: str) -> dict[str, float]:
    """Release a model, promote it once it has users, and return the seconds until it had the first and has all."""
    model, began = stage.stable_model(), time.monotonic()
    stage.release(model_version, model)
    seconds_until(lambda: stage.state.name == "canary" and stage.state.routed_at is not None, "a canary with users")
    first, now = time.monotonic() - began, stage.deps.now_us()
    rollout.update(stage.deps.channels, SERVICE, lambda state: order(state, "promote", "benchmark", "measured", now))
    request = site.request(SERVICE, "/model")

    def answers() -> bool:
        return answered(request, lambda answer: bool(json.load(answer)["model"] == f"svd@{model_version}"))

    seconds_until(lambda: all(answers() for _ in range(IN_A_ROW)), "all users")
    return {"first user": round(first, 1), "all users": round(time.monotonic() - began, 1)}


def seconds_to_deploy(site: Site, number: int) -> float:
    """Change the empty function, and return the seconds until its new pods have all requests."""
    service = empty(services()["recommend"])
    service["spec"]["template"]["metadata"]["annotations"]["marquee.test/number"] = str(number)
    deploy(site, service)
    return seconds_until(lambda: is_ready(site, EMPTY), "the empty function's new pods")

"""Those who ask Marquee on the cluster: users at its front, and callers within."""

import asyncio
import json
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import aiohttp

from infra.cluster.site import NAMESPACE, Site

USERS = [str(number) for number in range(9_000_001, 9_001_501)]
LIST = "a list"
STABLE, CANARY = "svd:stable", "svd:canary"
ARM, MODEL, RUNG = "x-marquee-arm", "x-marquee-model", "x-marquee-rung"


def asked(url: str, user: str) -> dict[str, str]:
    """Return the headers of an answer, which has a list."""
    with urllib.request.urlopen(f"{url}/recommend/{user}", timeout=10) as answer:
        assert answer.read().decode().strip()
        return {name.lower(): value for name, value in answer.headers.items()}


def answers(site: Site, header: str, users: Sequence[str] = USERS) -> dict[str, str]:
    """Return a header of each user's answer at the front."""
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda user: asked(site.url, user), users)
        return {user: each[header] for user, each in zip(users, found, strict=True)}


def share(arms: dict[str, str]) -> float:
    """Return the percentage of users in the canary's arm."""
    return 100 * Counter(arms.values())[CANARY] / len(arms)


def direct(site: Site, service: str, n: int) -> Counter[str]:
    """Return which revisions answer whoever asks a model's Service itself."""
    request = site.request(service, "/model")

    def ask(_: int) -> str:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(json.load(answer)["revision"])

    with ThreadPoolExecutor(8) as pool:
        return Counter(pool.map(ask, range(n)))


def pods(site: Site, label: str, name: str) -> list[dict[str, Any]]:
    """Return the pods of a Knative `service` or `revision` that nobody has told to go."""
    found: list[dict[str, Any]] = site.get("pods", f"--selector=serving.knative.dev/{label}={name}")["items"]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def ready(site: Site, label: str, name: str) -> list[str]:
    """Return the names of those that take requests."""
    return [
        pod["metadata"]["name"]
        for pod in pods(site, label, name)
        if any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))
    ]


def n_ready(site: Site, label: str, name: str) -> int:
    """Return how many of those there are."""
    return len(ready(site, label, name))


@contextmanager
def visited(site: Site, per_second: int) -> Iterator[Counter[str]]:
    """Have users ask all the while; how often they got a list, and what they got else, is counted."""
    got: Counter[str] = Counter()
    over = threading.Event()

    def ask(user: str) -> None:
        try:
            asked(site.url, user)
            got[LIST] += 1
        except Exception as error:  # whatever it is, a user got no list
            got[repr(error)] += 1

    def run() -> None:
        began, number = time.monotonic(), 0
        with ThreadPoolExecutor(32) as pool:
            while not over.wait(max(0.0, began + number / per_second - time.monotonic())):
                pool.submit(ask, USERS[number % len(USERS)])
                number += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield got
    finally:
        over.set()
        thread.join()


@contextmanager
def crowded(requests: Sequence[urllib.request.Request]) -> Iterator[Counter[str]]:
    """Have each of these wait for an answer at any time; lists, and what they got else, are counted."""
    got: Counter[str] = Counter()
    over = threading.Event()

    async def ask(http: aiohttp.ClientSession, request: urllib.request.Request) -> None:
        while not over.is_set():
            try:
                async with http.get(request.full_url, headers=dict(request.header_items())) as answer:
                    got[LIST if answer.status == 200 and await answer.read() else f"status {answer.status}"] += 1
            except aiohttp.ClientError as error:
                got[repr(error)] += 1

    async def run() -> None:
        connector = aiohttp.TCPConnector(limit=len(requests))
        async with aiohttp.ClientSession(connector=connector) as http, asyncio.TaskGroup() as group:
            for request in requests:
                group.create_task(ask(http, request))

    with ThreadPoolExecutor(1) as pool:
        crowd = pool.submit(asyncio.run, run())
        try:
            yield got
        finally:
            over.set()
            crowd.result()


def sightings(site: Site, service: str, seconds: int) -> Iterator[list[tuple[str, bool]]]:
    """Yield, after each change, revision and readiness of each pod of a Knative Service that nobody has told to go.

    The API server tells every change, so that none is missed between two looks. The first are the pods that are there.
    """
    fields = (
        "{.metadata.name},{.metadata.labels.serving\\.knative\\.dev/revision},"
        '{.status.conditions[?(@.type=="Ready")].status},{.metadata.deletionTimestamp}{"\\n"}'
    )
    which = ("get", "pods", f"--selector=serving.knative.dev/service={service}", f"--namespace={NAMESPACE}")
    how = ("--watch", f"--request-timeout={seconds}s", f"--output=jsonpath={fields}")
    command = (site.cluster.kubectl, "--kubeconfig", site.cluster.kubeconfig, *which, *how)
    there: dict[str, tuple[str, bool]] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
        try:
            for line in watch.stdout or ():
                pod, revision, ready, told_to_go = line.rstrip("\n").split(",")
                there.pop(pod, None)
                if not told_to_go:
                    there[pod] = (revision, ready == "True")
                yield list(there.values())
        finally:
            watch.terminate()

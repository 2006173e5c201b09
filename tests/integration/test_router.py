import json
import re
import socket
import urllib.request
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPResponse

import pytest

from infra.local.machine import Machine
from infra.local.router import Router, Target, first_traffic
from shared.adapters.envoy import EnvoyTraffic
from shared.adapters.web import web
from tests.integration.conftest import Marquee, wait


def process_behind(url: str, headers: Mapping[str, str] | None = None) -> str:
    """Return what tells the processes behind a route apart: when each started."""
    request = urllib.request.Request(f"{url}/metrics", headers=dict(headers or {}))
    with urllib.request.urlopen(request, timeout=5) as answer:
        return started(answer.read().decode())


def started(metrics: str) -> str:
    found = re.search(r"^process_start_time_seconds (\S+)", metrics, re.MULTILINE)
    assert found
    return found[1]


def split(machine: Machine, to_first: int) -> list[Target]:
    """Return the two processes of recommend as two revisions."""
    first, second = (machine.port(name) for name in ("recommend-1", "recommend-2"))
    return [Target("r0", to_first, [first]), Target("r1", 100 - to_first, [second], "canary")]


def test_weights_change_without_a_restart(marquee: Marquee) -> None:
    """Traffic moves from one revision to another within seconds, no request fails, Envoy stays the same process."""
    machine = marquee.stack.machine
    first, second = (process_behind(machine.url(name)) for name in ("recommend-1", "recommend-2"))
    envoy = next(each.pid for each in marquee.stack.status() if each.name == "envoy")

    def seen() -> set[str]:
        return {process_behind(machine.url("recommend")) for _ in range(20)}

    try:
        with marquee.asking():
            for to_first, wanted in ((100, {first}), (0, {second}), (50, {first, second})):
                Router(machine).write({**first_traffic(machine), "recommend": split(machine, to_first)})
                wait(lambda wanted=wanted: seen() == wanted, 15, f"traffic of {to_first} %")  # type: ignore[misc]
    finally:
        Router(machine).write(first_traffic(machine))
    assert next(each.pid for each in marquee.stack.status() if each.name == "envoy") == envoy


def test_a_connection_that_is_open_follows_a_change_of_weights(marquee: Marquee) -> None:
    """At once, and it stays open: who asks all the time must not ask a revision that is gone."""
    machine = marquee.stack.machine
    connection = HTTPConnection("127.0.0.1", machine.port("recommend"), timeout=5)

    def process() -> str:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        assert answer.headers["connection"] != "close"
        return started(answer.read().decode())

    try:
        for to_first, name in ((100, "recommend-1"), (0, "recommend-2")):
            Router(machine).write({**first_traffic(machine), "recommend": split(machine, to_first)})
            assert process() == process_behind(machine.url(name))
    finally:
        connection.close()
        Router(machine).write(first_traffic(machine))


@pytest.mark.parametrize("port", ["", ":8082"])
def test_a_tag_is_answered_by_its_revision_alone(marquee: Marquee, port: str) -> None:
    """What Envoy says of its targets is so: under the Host of a tag only that revision answers, with no traffic too."""
    machine = marquee.stack.machine
    processes = {tag: process_behind(machine.url(f"recommend-{n}")) for tag, n in (("stable", 1), ("canary", 2))}
    traffic = EnvoyTraffic(web(), machine.url("envoy-admin"))

    def shares() -> dict[str, int]:
        return {target.tag: target.percent for target in traffic.targets("recommend")}

    try:
        for to_first in (100, 70):
            Router(machine).write({**first_traffic(machine), "recommend": split(machine, to_first)})
            expected = {"stable": to_first, "canary": 100 - to_first}
            wait(lambda expected=expected: shares() == expected, 15, f"traffic of {to_first} %")  # type: ignore[misc]
            for target in traffic.targets("recommend"):
                hosts = {"Host": f"{target.host}{port}"}
                assert {process_behind(target.url, hosts) for _ in range(20)} == {processes[target.tag]}
    finally:
        Router(machine).write(first_traffic(machine))


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (400, b"nonsense\r\n\r\n"),
        (403, b"GET / HTTP/1.1\r\nhost: a\r\nx-request-id: mine\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"),
        (404, b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\nx-request-id: mine\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nhost: a\r\nx: " + 70_000 * b"y" + b"\r\n\r\n"),
    ],
)
def test_what_the_router_refuses_is_a_problem(marquee: Marquee, status: int, request_: bytes) -> None:
    """With a detail, and the id of a request that could be read."""
    with socket.create_connection(("127.0.0.1", marquee.stack.machine.port("recommend")), timeout=5) as connection:
        connection.sendall(request_)
        answer = HTTPResponse(connection)
        answer.begin()
        told = json.loads(answer.read())
    assert answer.status == told["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert told["detail"]
    assert answer.headers["x-request-id"] == ("mine" if b"mine" in request_ else None)

"""Every process of one machine: its command, what it is told, and when it is healthy."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from infra.local.machine import KAFKA_JARS, ROOT, SOURCES, Machine
from infra.local.serving import state

_FUNCTIONS: Final = (
    "ingest",
    "fold_lake",
    "build_matrix",
    "train",
    "evaluate_offline",
    "evaluate_online",
    "rollout",
)
_RECOMMENDS: Final = ("recommend-1", "recommend-2")


@dataclass(frozen=True)
class Part:
    """A process. `stage` says what it waits for: parts of a lower stage are healthy before it starts.

    `health` is a path that answers 200 on its port; without one, that the port accepts a connection is enough.
    """

    name: str
    stage: int
    command: list[str]
    ports: list[str]
    health: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    seconds_to_stop: int = 10


def parts(machine: Machine) -> list[Part]:
    """Return every process, in the order of starting: also those of the revisions that there are now.

    Raises: BadInput if the file that says so is damaged.
    """
    addresses = {f"{name.upper()}_URL": machine.url(name) for name in _FUNCTIONS}
    router = {"ROUTER": "envoy", "ROUTER_URL": machine.url("envoy-admin")}
    routes = {
        **router,
        "SCORE_SVD_URL": machine.url("score-svd"),
        "SCORE_SVDPP_URL": machine.url("score-svdpp"),
        "POPULAR_FILE": str(machine.data / "popular.json"),
    }
    told = {"rollout": {**router, "KUBERNETES_URL": machine.url("serving")}}
    return [
        _kafka(machine),
        _s3(machine),
        _envoy(machine),
        *(_function(machine, name, name, f"{name.replace('_', '-')}-00001", told.get(name, {})) for name in _FUNCTIONS),
        *_scores(machine),
        *(_function(machine, name, "recommend", "recommend-00001", routes) for name in _RECOMMENDS),
        Part(
            "event-source",
            2,
            [
                sys.executable,
                "-m",
                "infra.local.event_source",
                str(SOURCES),
                "--port",
                str(machine.port("event-source")),
            ],
            ["event-source"],
            "/health/readiness",
            addresses,
        ),
        Part(
            "serving",
            2,
            [sys.executable, "-m", "infra.local.serving"],
            ["serving"],
            "/health/readiness",
            {"MARQUEE_HOME": str(machine.home), "MARQUEE_PORT_OFFSET": str(machine.port_offset)},
        ),
    ]


def kafka_command(properties: Path) -> list[str]:
    """Return what starts Kafka with its properties."""
    heap = ["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC"]
    java = [
        "java",
        *heap,
        "-XX:TieredStopAtLevel=1",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    ]  # quick to warm up
    return [*java, "-cp", f"{KAFKA_JARS}/*", "kafka.Kafka", str(properties)]


def _kafka(machine: Machine) -> Part:
    command = kafka_command(machine.config / "kafka.properties")
    return Part("kafka", 0, command, ["kafka", "kafka-controller"], seconds_to_stop=20)


def _s3(machine: Machine) -> Part:
    servers = {"s3": "-s3.port", "s3-filer": "-filer.port", "s3-volume": "-volume.port", "s3-master": "-master.port"}
    ports = servers | {f"{name}-grpc": f"{option}.grpc" for name, option in servers.items()}
    command = [
        "weed",
        "-logtostderr",
        "server",
        f"-dir={machine.data / 's3'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        *(f"{option}={machine.port(name)}" for name, option in ports.items()),
        "-s3.port.iceberg=0",  # catalogs that nobody here uses, on fixed ports
        "-s3.port.lance=0",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=1024",
        "-volume.max=50",
        "-volume.preStopSeconds=0",
        "-master.electionTimeout=1s",  # there is nobody else to elect
        "-filer",
        "-s3",
        f"-s3.config={machine.config / 's3.json'}",
    ]
    # Its graceful stop waits for streams within the process itself, so it is not waited for.
    return Part("s3", 0, command, list(ports), "/healthz", seconds_to_stop=2)


def _envoy(machine: Machine) -> Part:
    command = [
        "envoy",
        "-c",
        str(machine.config / "envoy/envoy.yaml"),
        "--log-level",
        "warning",
        "--disable-hot-restart",
    ]
    return Part("envoy", 0, command, ["recommend", "score-svd", "score-svdpp", "envoy-admin"])


def _scores(machine: Machine) -> list[Part]:
    """Return the processes of each revision of the models. One that has no model yet is alive, and not ready."""
    return [
        _function(
            machine, state.process_name(service, number), "score", each.name, each.template.environment, "liveness"
        )
        for service in state.load(machine).values()
        for each in service.revisions
        if each.runs
        for number in each.processes
    ]


def _function(
    machine: Machine,
    name: str,
    function: str,
    revision: str,
    environment: Mapping[str, str] = MappingProxyType({}),
    probe: str = "readiness",
) -> Part:
    source = str(ROOT / "functions" / function / "main.py")
    command = ["functions-framework", "--source", source, "--target", "main", "--host", "127.0.0.1"]
    return Part(
        name,
        1,
        [*command, "--port", str(machine.port(name))],
        [name],
        f"/health/{probe}",
        {"K_REVISION": revision, **environment},
        seconds_to_stop=15,
    )

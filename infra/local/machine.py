"""Where everything of one machine is: its folder, its ports, and what the functions are told."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.errors import BadSettings
from shared.events import MOVIELOG, PIPELINE, RecommendationServed
from shared.settings import Settings

ROOT: Final = Path(__file__).parents[2]
KAFKA_JARS: Final = ROOT / "infra/local/kafka/target/dependency"
SOURCES: Final = ROOT / "knative/base/sources/objects/sources.yaml"

PORTS: Final[Mapping[str, int]] = {
    "recommend": 8082,
    "score-svd": 8101,
    "score-svdpp": 8102,
    "envoy-admin": 9901,
    "kafka": 9092,
    "kafka-controller": 9093,
    "s3": 8333,
    "s3-grpc": 8334,
    "s3-master": 9333,
    "s3-master-grpc": 9334,
    "s3-volume": 8380,
    "s3-volume-grpc": 8381,
    "s3-filer": 8388,
    "s3-filer-grpc": 8389,
    "ingest": 8110,
    "fold_lake": 8111,
    "build_matrix": 8112,
    "train": 8113,
    "evaluate_offline": 8114,
    "rollout": 8115,
    "evaluate_online": 8116,
    "recommend-1": 8120,
    "recommend-2": 8121,
    **{f"score-svd-{number}": 8130 + number for number in range(1, 7)},
    **{f"score-svdpp-{number}": 8140 + number for number in range(1, 7)},
    "event-source": 8150,
    "serving": 8151,
}
"""Every port that is listened on, all on loopback; `MARQUEE_PORT_OFFSET` moves them together."""

DEAD_LETTERS: Final = "marquee.deadletter"
LARGEST_BYTES: Final = 64 * 2**20
"""The largest dead letter: a record may be small in Kafka and large once it is unpacked."""

TOPICS: Final[Mapping[str, int]] = {
    **{event.type: 1 for event in PIPELINE},
    RecommendationServed.type: 4,
    MOVIELOG: 4,
    DEAD_LETTERS: 1,
}
"""Every topic and its number of partitions."""

BUCKET: Final = "marquee"
_KEY: Final = {"AWS_ACCESS_KEY_ID": "marquee", "AWS_SECRET_ACCESS_KEY": "marquee-secret"}


@dataclass(frozen=True)
class Machine:
    """One local Marquee: a folder for all its state, and a number added to every port."""

    home: Path
    port_offset: int = 0

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> "Machine":
        """Return the machine that MARQUEE_HOME and MARQUEE_PORT_OFFSET name. Raises: BadSettings."""
        offset = environment.get("MARQUEE_PORT_OFFSET", "0")
        if not (offset.isascii() and offset.isdigit() and int(offset) <= 45_000):
            raise BadSettings(f"MARQUEE_PORT_OFFSET is {offset!r}, not a whole number from 0 to 45000")
        return cls(Path(environment.get("MARQUEE_HOME") or ROOT / ".marquee").absolute(), int(offset))

    def port(self, name: str) -> int:
        """Return the port that a part listens on."""
        return PORTS[name] + self.port_offset

    def url(self, name: str) -> str:
        """Return the address of a part."""
        return f"http://127.0.0.1:{self.port(name)}"

    @property
    def logs(self) -> Path:
        """The folder of all logs."""
        return self.home / "logs"

    def log(self, name: str) -> Path:
        """Return the log file of a process."""
        return self.logs / f"{name}.log"

    @property
    def data(self) -> Path:
        """The folder of what Kafka and the S3 store keep."""
        return self.home / "data"

    @property
    def config(self) -> Path:
        """The folder of generated configuration."""
        return self.home / "config"

    @property
    def signing_key(self) -> Path:
        """The key that models are signed by here, if there is one; everything runs as one user, so all may read it."""
        return self.config / "signing.pem"

    @property
    def environment(self) -> dict[str, str]:
        """What every function is told, as it would be by its Service's `env`; settings given to us are passed on."""
        given = {name.upper() for name in Settings.model_fields} & os.environ.keys()
        signs = {"SIGNING_KEY_FILE": str(self.signing_key)} if self.signing_key.exists() else {}
        return {
            **signs,
            **{name: os.environ[name] for name in given},
            "BUCKET": BUCKET,
            "S3_ENDPOINT": self.url("s3"),
            "KAFKA_BOOTSTRAP": f"127.0.0.1:{self.port('kafka')}",
            "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
            "KUBERNETES_URL": self.url("serving"),
            **_KEY,
            "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "WORKERS": "1",
            "OPENBLAS_NUM_THREADS": "1",  # a request's product is small: threads would only wait for each other
            "MARQUEE_STACK": str(self.home),
        }

"""Kafka and the S3 store of the local cluster: real ones on the host, each account with what it may do and no more."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from kafka import KafkaAdminClient
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from infra.accounts import ADMINISTRATOR, Accounts
from infra.authority import Authority
from infra.background import Background
from infra.kafka import server
from infra.kafka.accounts import create as create_accounts
from infra.kafka.server import Listeners
from infra.local.machine import BUCKET
from infra.local.ports import refuse_taken
from infra.local.provision import create_topics
from infra.minio import server as minio
from infra.minio.set_up import set_up
from shared.errors import NotReady

NAME: Final = "kafka.marquee.svc.cluster.local"
"""What pods call Kafka."""


@dataclass(frozen=True)
class Stores:
    """Kafka and MinIO at an address, with all their state in a folder; what is in it outlives `down`.

    `kafka_name` is what clients with accounts call Kafka, the host itself reaches it at 127.0.0.1:`host_port`.
    """

    folder: Path
    address: str
    kafka_name: str = NAME
    kafka_port: int = 9094
    host_port: int = 19_092
    controller_port: int = 19_093
    s3_port: int = 9000

    def up(self) -> None:
        """Start what does not run, and make topics, bucket and accounts. Raises: BadInput, NotReady."""
        self.folder.mkdir(parents=True, exist_ok=True)
        ports = self.kafka_port, self.host_port, self.controller_port
        if not self._kafka.process:
            refuse_taken(dict.fromkeys(ports[1:], "Kafka"), "stop it: nothing else can be there while the cluster is")
            listeners = Listeners(self.address, self.kafka_name, *ports)
            self._kafka.start(server.prepare(self.folder, listeners, self.authority))
        if not self._minio.process:
            command = minio.command(self.folder / "minio", f"{self.address}:{self.s3_port}")
            self._minio.start(command, minio.environment(self.accounts.key(ADMINISTRATOR)))
        create_topics(self.host_bootstrap)
        admin = KafkaAdminClient(bootstrap_servers=self.host_bootstrap)
        try:
            create_accounts(admin, self.accounts.kafka)
        finally:
            admin.close()
        self._set_up()

    def down(self) -> None:
        """Stop both."""
        self._kafka.stop()
        self._minio.stop()

    @property
    def authority(self) -> Authority:
        """Who vouches for Kafka's certificate."""
        return Authority(self.folder / "authority")

    @property
    def host_bootstrap(self) -> str:
        """Where the host reaches Kafka without an account."""
        return f"127.0.0.1:{self.host_port}"

    @property
    def endpoint(self) -> str:
        """Where the S3 store answers."""
        return f"http://{self.address}:{self.s3_port}"

    @cached_property
    def accounts(self) -> Accounts:
        """Every account; one that is new since the last time gets its secret now."""
        path = self.folder / "accounts.json"
        self.folder.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        known = Accounts.model_validate_json(path.read_bytes() or b"{}").completed()
        path.write_text(known.model_dump_json())
        return known

    def environment(self, account: str) -> dict[str, str]:
        """Return what a function with this account is told of the stores, as far as it has one there."""
        told = {
            "BUCKET": BUCKET,
            "S3_ENDPOINT": self.endpoint,
            "KAFKA_BOOTSTRAP": f"{self.kafka_name}:{self.kafka_port}",
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        }
        if account in self.accounts.kafka:
            told |= {"KAFKA_CA_FILE": str(self.authority.certificate), **self.accounts.environment(account)}
        return told | (self.accounts.key(account).environment if account in self.accounts.s3 else {})

    def manifests(self) -> list[dict[str, Any]]:
        """Return the Secrets of all accounts and the ConfigMap kafka-ca, without a namespace."""
        authority = {"ca.crt": self.authority.certificate.read_text()}
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kafka-ca"}, "data": authority}
        return [config, *self.accounts.manifests()]

    @property
    def _kafka(self) -> Background:
        return Background(self.folder, "kafka")

    @property
    def _minio(self) -> Background:
        return Background(self.folder, "minio")

    @retry(retry=retry_if_exception_type(NotReady), stop=stop_after_delay(60), wait=wait_fixed(0.5), reraise=True)
    def _set_up(self) -> None:
        set_up(self.endpoint, BUCKET, self.accounts.key(ADMINISTRATOR), self.accounts.keys())

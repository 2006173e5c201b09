"""How functions are woken, scaled and told things, and what `rollout` owns."""

import pytest
import yaml

from infra.go import module
from infra.local.event_source import config
from infra.local.machine import DEAD_LETTERS, SOURCES, TOPICS
from shared.settings import Settings
from tests.unit.knative.manifests import (
    OVERLAYS,
    SCORES,
    SERVICES,
    SERVING,
    annotation,
    of_kind,
    overlay,
    pods,
    rendered,
    services,
)

ADDRESSES = {f"{name.upper().replace('-', '_')}_URL": f"http://{name}" for name in SERVICES}
SECRETS = {"KAFKA_USERNAME": "u", "KAFKA_PASSWORD": "p"}
ONE_AT_A_TIME = {"fold-lake", "build-matrix", "train", "evaluate-offline", "evaluate-online", "rollout"}


def functions_of(source: config.KafkaSource | config.PingSource) -> str:
    return str(source.spec.sink.uri).removeprefix("http://").split("/")[0]


def timeout(name: str) -> int:
    return int(services("rancher")[name]["spec"]["template"]["spec"]["timeoutSeconds"])


def test_a_cluster_s_sources_are_those_of_one_machine() -> None:
    """The same file: as objects where Knative reads it, as a file where the local event source does.

    A drill's canaries are judged every five seconds; between two looks of a cluster there is time to sleep.
    """
    written = list(yaml.safe_load_all(SOURCES.read_text()))
    of_kind(written, "PingSource")["evaluate-online"]["spec"]["schedule"] = "*/5 * * * *"
    for kind in ("KafkaSource", "PingSource", "KafkaSink"):
        specs = {name: each["spec"] for name, each in of_kind(written, kind).items()}
        rendered_specs = {name: each["spec"] for name, each in of_kind(overlay("rancher"), kind).items()}
        assert {name: {key: spec[key] for key in specs[name]} for name, spec in rendered_specs.items()} == specs
        assert not of_kind(overlay("local"), kind)


def test_the_event_source_reads_the_same_file() -> None:
    """From a ConfigMap that is named by its content, so that another content is another pod."""
    (name,) = (name for name in of_kind(overlay("local"), "ConfigMap") if name.startswith("event-source-"))
    assert of_kind(overlay("local"), "ConfigMap")[name]["data"] == {"sources.yaml": SOURCES.read_text()}
    spec = pods("local")["event-source"]
    (volume,) = (each for each in spec["volumes"] if each.get("configMap", {}).get("name") == name)
    (container,) = spec["containers"]
    (mount,) = (each for each in container["volumeMounts"] if each["name"] == volume["name"])
    assert container["args"][0] == f"{mount['mountPath']}/sources.yaml"
    told = {each["name"]: each["value"] for each in container["env"]}
    assert {functions_of(each) for each in config.load(SOURCES, told).kafka} <= {
        f"{each}.marquee.svc.cluster.local" for each in SERVICES
    }


def test_a_source_never_loses_a_record() -> None:
    """Topics that exist, a group of its own, every field of delivery; dead letters to a topic that exists."""
    sources = config.load(SOURCES, ADDRESSES)
    assert {topic for each in sources.kafka for topic in each.spec.topics} <= set(TOPICS)
    groups = [each.spec.consumer_group for each in sources.kafka]
    assert groups == [f"marquee-{each.metadata.name}" for each in sources.kafka]
    assert all(each.spec.initial_offset == "earliest" for each in sources.kafka)
    assert set(sources.sink_topics.values()) == {DEAD_LETTERS}


def test_as_many_consumers_read_a_topic_as_it_has_partitions() -> None:
    """Fewer would be slower, more would be idle."""
    for each in of_kind(overlay("rancher"), "KafkaSource").values():
        (topic,) = each["spec"]["topics"]
        assert each["spec"].get("consumers", 1) == TOPICS[topic]


@pytest.mark.parametrize("which", OVERLAYS)
def test_what_a_kafka_source_sends_to_is_always_there(which: str) -> None:
    """At least one pod; two of what users wait for, from a revision's start; what only a schedule wakes may sleep."""
    least = {name: int(annotation(each, "min-scale") or 0) for name, each in services(which).items()}
    assert all(least[functions_of(each)] >= 1 for each in config.load(SOURCES, ADDRESSES).kafka)
    assert {name for name, number in least.items() if number == 2} == SCORES | {"recommend"}
    assert {name for name, each in services(which).items() if annotation(each, "initial-scale") == "2"} == SCORES | {
        "recommend"
    }
    assert {name for name, number in least.items() if number == 0} == {"evaluate-online"}


def test_a_function_has_the_time_that_its_source_gives_it() -> None:
    """And at least 45 s, for a pod that goes gets as many to end its requests; a long answer may also begin late."""
    for each in config.load(SOURCES, ADDRESSES).kafka:
        assert timeout(functions_of(each)) >= each.spec.delivery.timeout.total_seconds()
    for each in services("rancher").values():
        spec = each["spec"]["template"]["spec"]
        assert 45 <= spec["timeoutSeconds"] <= 600
        assert spec["timeoutSeconds"] == 60 or spec["responseStartTimeoutSeconds"] == spec["timeoutSeconds"]


def test_long_work_is_done_one_at_a_time_and_requests_are_not() -> None:
    """One pod with one event; or many at once, and pods for as many as come."""
    for name, each in services("rancher").items():
        concurrency = each["spec"]["template"]["spec"]["containerConcurrency"]
        assert (concurrency == 1) == (annotation(each, "max-scale") == "1") == (name in ONE_AT_A_TIME)
        if name not in ONE_AT_A_TIME:
            assert 0 < int(annotation(each, "target") or 0) <= (concurrency or 1000)


@pytest.mark.parametrize("which", OVERLAYS)
def test_every_function_is_told_what_it_understands(which: str) -> None:
    """Each setting is one of Settings, and all that a function is told together makes sense to it."""
    shared = of_kind(overlay(which), "ConfigMap")["marquee-settings"]["data"]
    known = {name.upper() for name in Settings.model_fields}
    assert set(shared) <= known
    for name, each in services(which).items():
        (container,) = each["spec"]["template"]["spec"]["containers"]
        own = {variable["name"]: variable["value"] for variable in container.get("env", [])}
        assert set(own) <= known
        settings = Settings.from_env({**shared, **own, **({} if name in SCORES else SECRETS)})
        assert settings.router == "knative"
        assert settings.kafka_security_protocol == "SASL_SSL"


def test_knative_reaches_kafka_where_the_functions_do() -> None:
    """One address, of the settings."""
    bootstrap = of_kind(overlay("rancher"), "ConfigMap")["marquee-settings"]["data"]["KAFKA_BOOTSTRAP"]
    found = [each for kind in ("KafkaSource", "KafkaSink") for each in of_kind(overlay("rancher"), kind).values()]
    assert [each["spec"]["bootstrapServers"] for each in found] == [[bootstrap]] * len(found)


@pytest.mark.parametrize("which", OVERLAYS)
def test_what_rollout_owns_is_in_no_manifest(which: str) -> None:
    """Applied again, a manifest takes back neither traffic nor a revision's name; each Service has its algorithm."""
    for name, service in services(which).items():
        assert "traffic" not in service["spec"]
        assert "name" not in service["spec"]["template"]["metadata"]
        env = service["spec"]["template"]["spec"]["containers"][0].get("env", [])
        assert "MODEL_VERSION" not in {each["name"] for each in env}
        if name in SCORES:
            assert {"name": "ALGORITHM", "value": name.removeprefix("score-")} in env
        owned = service["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") == "rollout"
        assert owned == (name in SCORES)


def test_images_are_loaded_or_named_by_digest() -> None:
    """No tag that may move is ever pulled."""
    for name, service in services("local").items():
        (container,) = service["spec"]["template"]["spec"]["containers"]
        target = "score" if name in SCORES else name
        assert container["image"] == f"dev.local/marquee/{target}:dev"
        assert container["imagePullPolicy"] == "IfNotPresent"
    for service in services("rancher").values():
        assert "@sha256:" in service["spec"]["template"]["spec"]["containers"][0]["image"]


def test_knative_s_own_settings_are_settings_of_it() -> None:
    """Each key stands in the example of its config map."""
    folder = module("knative.dev/serving", SERVING) / "config/core/configmaps"
    for each in rendered("base/config"):
        name = each["metadata"]["name"]
        assert each["metadata"]["namespace"] == "knative-serving"
        shipped = yaml.safe_load((folder / f"{name.removeprefix('config-')}.yaml").read_text())["data"]
        assert set(each["data"]) <= set(yaml.safe_load(shipped["_example"]))

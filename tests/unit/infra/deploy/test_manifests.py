import pytest

from infra.deploy.manifests import (
    knative_services,
    read_images,
    readiness,
    setting,
    target_of,
    with_images,
    without,
)
from shared.errors import BadInput

SCORE = "registry.example/marquee/score@sha256:" + "2" * 64
NONE = "registry.example/marquee/train@sha256:" + "0" * 64


def service(name: str, image: str) -> dict:
    template = {"spec": {"containers": [{"image": image, "env": []}]}}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"template": template},
    }


DOCUMENTS = [
    service("score-svd", "dev.local/marquee/score:dev"),
    service("score-svdpp", "dev.local/marquee/score:dev"),
    service("ingest", "localhost:5000/marquee/ingest@sha256:" + "1" * 64),
    {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kafka"}, "spec": {}},
]


def test_every_container_of_a_target_runs_its_image_and_no_other_does():
    """Whatever registry, tag or digest stood there."""
    found = with_images(DOCUMENTS, {"score": SCORE}, {})
    images = [each["spec"]["template"]["spec"]["containers"][0]["image"] for each in found[:3]]
    assert images == [SCORE, SCORE, DOCUMENTS[2]["spec"]["template"]["spec"]["containers"][0]["image"]]
    assert found[3] == DOCUMENTS[3]


def test_a_container_knows_the_digest_that_it_runs():
    """By it, what a function makes says which image made it; a tag would say nothing."""
    found = with_images(DOCUMENTS[:1], {"score": SCORE}, {})
    assert environment(found) == [{"name": "IMAGE_DIGEST", "value": "sha256:" + "2" * 64}]
    assert environment(with_images(found, {"score": "registry.example/marquee/score:7"}, {})) == []


def environment(documents: list) -> list:
    (container,) = documents[0]["spec"]["template"]["spec"]["containers"]
    return container["env"]


@pytest.mark.parametrize(
    "image", ["score", "a/score:1", "h:5000/a/score", "h:5000/a/score:1", "h:5000/a/score@sha256:1"]
)
def test_a_target_is_the_last_part_of_a_name(image):
    """A registry may have a port."""
    assert target_of(image) == "score"


def test_an_image_that_nothing_runs_is_refused():
    """It is a word mistyped, and would be left out in silence."""
    with pytest.raises(BadInput, match="scoer"):
        with_images(DOCUMENTS, {"scoer": SCORE}, {})


def test_an_image_that_is_not_of_this_overlay_is_left_out():
    """The builder names all; where Knative has sources, none of them is that of the event source."""
    assert with_images(DOCUMENTS, {"event-source": "h/marquee/event-source:1"}, {}) == DOCUMENTS


def test_what_is_not_named_goes_on_with_the_image_that_it_has():
    """Whatever the overlay says; what is named gets the new one."""
    live = {
        "ingest": service("ingest", "h/marquee/ingest:live"),
        "score-svd": service("score-svd", "h/marquee/score:1"),
    }
    found = with_images(DOCUMENTS, {"score": SCORE}, live)
    images = [each["spec"]["template"]["spec"]["containers"][0]["image"] for each in found[:3]]
    assert images == [SCORE, SCORE, "h/marquee/ingest:live"]


def test_what_has_no_image_yet_is_refused():
    """An overlay's zeros are no image; those of what is there already are not asked for."""
    documents = [*DOCUMENTS, service("train", NONE)]
    with pytest.raises(BadInput, match="train"):
        with_images(documents, {"score": SCORE}, {})
    *_, train = with_images(documents, {"score": SCORE}, {"train": service("train", "h/marquee/train:1")})
    assert train["spec"]["template"]["spec"]["containers"][0]["image"] == "h/marquee/train:1"


def test_a_setting_is_what_the_manifests_say():
    """Or its default; a word is refused."""
    told = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "marquee-settings"}}
    assert setting([*DOCUMENTS, {**told, "data": {"CANARY_MAX_HOURS": "5"}}], "CANARY_MAX_HOURS", 72) == 5
    assert setting([{**told, "data": {}}], "CANARY_MAX_HOURS", 72) == setting(DOCUMENTS, "CANARY_MAX_HOURS", 72) == 72
    with pytest.raises(BadInput, match="CANARY_MAX_HOURS"):
        setting([{**told, "data": {"CANARY_MAX_HOURS": "long"}}], "CANARY_MAX_HOURS", 72)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"score": {}}', '{"score": 1}', '{"score": "x y:1"}', '{"score": "score"}', "[" * 10]
)
def test_images_that_are_none_are_refused(text):
    """With the target, if it is one."""
    with pytest.raises(BadInput):
        read_images(text)
    assert read_images(f'{{"score": "{SCORE}"}}') == {"score": SCORE}


def test_services_of_knative_are_told_from_others():
    """A Service of Kubernetes is none."""
    assert knative_services(DOCUMENTS) == ["score-svd", "score-svdpp", "ingest"]
    left = without(DOCUMENTS, ["score-svd", "kafka"])
    assert [each["metadata"]["name"] for each in left] == ["score-svdpp", "ingest", "kafka"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, None),
        ({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}, None),
        ({"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "Unknown"}]}, None),
        ({"observedGeneration": 2, "conditions": []}, None),
        ({"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True"}]}, True),
        ({"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "False", "message": "no image"}]}, False),
    ],
)
def test_a_service_is_ready_once_what_was_asked_for_last_is(status, expected):
    """Not while the status is of something older."""
    found, why = readiness({"metadata": {"generation": 2}, "status": status})
    assert found is expected
    assert ("no image" in why) == (expected is False)

from typing import Any

import pytest

from infra.local.serving import objects, patches
from infra.local.serving.state import Service, first
from shared.errors import BadInput, BadSettings, Conflict

SERVICE = first("svd", 0.0)
STABLE = {"revisionName": "score-svd-00001", "tag": "stable", "percent": 100}


def template(name: str = "score-svd-b", image: str = "score", **env: Any) -> dict[str, Any]:
    containers = [{"image": image, "env": [{"name": each, "value": value} for each, value in env.items()]}]
    return {"template": {"metadata": {"name": name}, "spec": {"containers": containers}}}


def change(spec: object, service: Service = SERVICE, **metadata: Any) -> Service:
    return patches.changed(service, {"metadata": metadata, "spec": spec})


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_does_what_the_rfc_says(target: object, patch: object, result: object) -> None:
    """Cases of RFC 7396, appendix A."""
    assert patches.merged(target, patch) == result


def test_a_change_is_a_new_template_and_its_traffic() -> None:
    """The revision is known from then on, the generation one higher."""
    canary = {"revisionName": "score-svd-b", "tag": "canary"}
    after = change({**template(ALGORITHM="svd", MODEL_VERSION="b"), "traffic": [STABLE, canary]})
    assert (after.generation, after.version) == (2, 2)
    assert [each.name for each in after.revisions] == ["score-svd-00001", "score-svd-b"]
    assert after.revisions[1].template.environment == {"ALGORITHM": "svd", "MODEL_VERSION": "b"}
    assert [share.percent for share in after.wanted] == [100, 0]
    assert after.routed == SERVICE.routed


def test_a_change_of_another_version_is_a_conflict() -> None:
    """Also one that would change nothing; without a version any is right, as with Kubernetes."""
    with pytest.raises(Conflict, match="modified"):
        change({"traffic": [STABLE]}, resourceVersion="9")
    assert change({"traffic": [STABLE]}, resourceVersion="1") is SERVICE
    assert change({"traffic": [STABLE]}) is SERVICE


@pytest.mark.parametrize("patch", [[], None, "x", {"metadata": {"name": "other"}}, {"metadata": None}])
def test_what_is_no_patch_of_the_service_is_refused(patch: object) -> None:
    """Whatever it is."""
    with pytest.raises(BadInput):
        patches.changed(SERVICE, patch)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (None, "spec"),
        ({"traffic": []}, "traffic"),
        ({"traffic": [{**STABLE, "percent": 99}]}, "add up"),
        ({"traffic": [{**STABLE, "percent": "x"}]}, "percent"),
        ({"traffic": [{**STABLE, "tag": "not.a.label"}]}, "tags"),
        ({"traffic": [{**STABLE, "latestRevision": True}]}, "latestRevision"),
        ({"traffic": [{**STABLE, "revisionName": "other-1"}]}, "no name of a revision"),
        (template("other-1"), "no name of a revision"),
        (template("score-svd-00001", MODEL_VERSION="b"), "another name"),
        (template(image="other"), "image"),
        (template(K_REVISION="x"), "K_REVISION"),
        (template(LD_PRELOAD="x"), "LD_PRELOAD"),
        (template(MODEL_VERSION='a",PATH="/tmp'), "characters"),
        (template(MODEL_VERSION="%(here)s"), "characters"),
        (template(MODEL_VERSION=1), "value"),
        ({"template": {"spec": {"containers": []}}}, "containers"),
        ({"replicas": 3}, "replicas"),
        (
            {"traffic": [STABLE, *({"revisionName": f"score-svd-{n}", "tag": f"t{n}"} for n in "bcd")]},
            "traffic",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(spec: object, why: str) -> None:
    """A misspelt field is not taken for none, and nothing gets into the supervisor's file that is not meant to."""
    with pytest.raises(BadSettings, match=why):
        change(spec)


def test_there_is_room_for_those_that_go_too() -> None:
    """Two that have traffic and two that shall have it are one too many at once."""
    others = [{"revisionName": f"score-svd-{n}", "tag": f"t{n}", "percent": 50} for n in "bc"]
    both = change({"traffic": others})
    assert len(both.named) == 3
    routed = both.model_copy(update={"routed": both.wanted})
    with pytest.raises(BadSettings, match="room for 3"):
        change({"traffic": [{**each, "revisionName": f"{each['revisionName']}2"} for each in others]}, routed)


def test_a_service_says_what_it_does_and_what_it_waits_for() -> None:
    """In the form of Knative's."""
    shown = objects.service_object(change({**template(), "traffic": [{**STABLE, "revisionName": "score-svd-b"}]}))
    assert shown["status"]["traffic"] == [{**STABLE, "url": "http://stable-score-svd"}]
    assert shown["spec"]["traffic"] == [{**STABLE, "revisionName": "score-svd-b"}]
    (condition,) = shown["status"]["conditions"]
    assert condition["status"] == "Unknown"
    assert "score-svd-b" in condition["message"]
    revision = objects.revision_object(SERVICE.revisions[0])
    assert revision["spec"]["containers"] == [{"image": "score", "env": [{"name": "ALGORITHM", "value": "svd"}]}]
    assert revision["status"]["conditions"][0]["status"] == "Unknown"

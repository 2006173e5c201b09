import copy
from typing import Any

import pytest

from shared import keys
from shared.events import ALGORITHMS
from tests.unit.rancher.bundles import Object, drift, helm_patch, merged, objects

SCORES = [keys.score_service(algorithm) for algorithm in ALGORITHMS]


class Refused(Exception):
    """What Knative's webhook does not let in."""


def services() -> dict[str, Object]:
    return {
        each["metadata"]["name"]: each
        for each in objects("marquee")
        if each["kind"] == "Service" and each["apiVersion"] == "serving.knative.dev/v1"
    }


def desired(name: str) -> Object:
    return services()[name]


def as_helm_sends(manifest: Object) -> Object:
    annotations = {"meta.helm.sh/release-name": "marquee", "meta.helm.sh/release-namespace": "marquee"}
    return merged(
        manifest, {"metadata": {"labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": annotations}}
    )


def as_knative_keeps(service: Object) -> Object:
    """Return a Service with what Knative's webhook fills in (`SetDefaults` of Serving 1.21), as JSON writes it."""
    kept = copy.deepcopy(service)
    kept["metadata"].setdefault("annotations", {})["serving.knative.dev/creator"] = "fleet"
    spec = kept["spec"]
    spec.setdefault("traffic", [{"latestRevision": True, "percent": 100}])
    template = spec["template"]
    template["metadata"]["creationTimestamp"] = None
    pod = template["spec"]
    pod.setdefault("enableServiceLinks", False)
    pod.setdefault("containerConcurrency", 0)
    pod.setdefault("timeoutSeconds", 300)
    (container,) = pod["containers"]
    container.setdefault("name", "user-container")
    container["readinessProbe"].setdefault("successThreshold", 1)
    for sizes in container["resources"].values():
        sizes.update({key: str(value) for key, value in sizes.items()})
    for mount in container["volumeMounts"]:
        if not any(each["name"] == mount["name"] and "emptyDir" in each for each in pod["volumes"]):
            mount["readOnly"] = True
    return kept


def written(live: Object, patch: Object) -> Object:
    """Return a Service after a patch, if Knative takes it: another template needs another name, once it has one."""
    after = as_knative_keeps(merged(live, patch))
    before, now = live["spec"]["template"], after["spec"]["template"]
    if now["metadata"].get("name") and now["metadata"].get("name") == before["metadata"].get("name") and now != before:
        raise Refused("Saw the following changes without a name change")
    return after


def rolled_out(live: Object, revision: str, **more: Any) -> Object:
    """Return what shared/adapters/knative.py makes of a Service: a revision with a model, and users for it."""
    (container,) = live["spec"]["template"]["spec"]["containers"]
    pinned = {**container, **more, "env": [*container["env"], {"name": "MODEL_VERSION", "value": "0a1b2c3d"}]}
    traffic = [
        {"revisionName": revision, "tag": "canary", "percent": 25},
        {"revisionName": live["spec"]["template"]["metadata"]["name"], "tag": "stable", "percent": 75},
    ]
    template = {"metadata": {"name": revision}, "spec": {"containers": [pinned]}}
    annotations = {"marquee.rollout/traffic": "[]"}
    return written(live, {"metadata": {"annotations": annotations}, "spec": {"template": template, "traffic": traffic}})


def installed(name: str) -> Object:
    return as_knative_keeps(as_helm_sends(desired(name)))


def on_trial(name: str) -> Object:
    return rolled_out(installed(name), f"{name}-0a1b2c3d", image="registry.example.com/marquee/score@sha256:1")


def changed(name: str, revision: str | None) -> tuple[Object, Object]:
    """Return a manifest and what it becomes when the memory of its pods is changed in git."""
    after = copy.deepcopy(desired(name))
    after["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] = "3Gi"
    if revision:
        after["spec"]["template"]["metadata"]["name"] = revision
    return desired(name), after


def test_what_knative_fills_in_is_no_drift() -> None:
    """A Service that was just applied is as it should be, in the eyes of Fleet."""
    assert len(services()) == 10
    assert [found for name in services() if (found := drift("marquee", desired(name), installed(name)))] == []


@pytest.mark.parametrize("name", SCORES)
def test_a_rollout_is_no_drift(name: str) -> None:
    """Nor is what rollout writes: another revision, model and image, and users for it."""
    assert drift("marquee", desired(name), on_trial(name)) == {}


@pytest.mark.parametrize("name", SCORES)
def test_what_rollout_does_not_own_is_still_watched(name: str) -> None:
    """Another account, or fewer pods, is drift of a `score` Service too."""
    template = {
        "metadata": {"annotations": {"autoscaling.knative.dev/min-scale": "1"}},
        "spec": {"serviceAccountName": "x"},
    }
    live = merged(on_trial(name), {"spec": {"template": template}})
    assert drift("marquee", desired(name), live) == {
        "spec": {
            "template": {
                "metadata": {"annotations": {"autoscaling.knative.dev/min-scale": "2"}},
                "spec": {"serviceAccountName": "score"},
            }
        }
    }


def test_another_image_of_a_function_is_drift() -> None:
    """Only the models' images are anybody's but git's."""
    for name in services().keys() - SCORES:
        live = installed(name)
        live["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
        assert drift("marquee", desired(name), live) != {}


@pytest.mark.parametrize("name", SCORES)
def test_what_stands_beside_the_image_is_still_watched(name: str) -> None:
    """Less memory, or another user, is drift within the container that rollout writes."""
    for changed_by_hand in ({"resources": {"limits": {"memory": "1Gi"}}}, {"securityContext": {"runAsUser": 0}}):
        live = on_trial(name)
        containers = live["spec"]["template"]["spec"]["containers"]
        containers[0] = merged(containers[0], changed_by_hand)
        assert drift("marquee", desired(name), live) != {}


@pytest.mark.parametrize("name", SCORES)
def test_no_manifest_says_anything_of_traffic(name: str) -> None:
    """What Helm's patch does not name stays as it is."""
    assert "traffic" not in desired(name)["spec"]


@pytest.mark.parametrize("name", SCORES)
def test_drift_correction_moves_no_user(name: str) -> None:
    """Helm goes back to the release that is there already: for a Service, a patch of nothing."""
    assert helm_patch(desired(name), desired(name)) == {}


@pytest.mark.parametrize("name", SCORES)
def test_a_change_in_git_makes_a_revision_that_nobody_is_sent_to(name: str) -> None:
    """The traffic stays as rollout left it, and the next model's revision has the change."""
    live = on_trial(name)
    before, after = changed(name, f"{name}-git-2")
    applied = written(live, helm_patch(before, after))
    assert applied["spec"]["traffic"] == live["spec"]["traffic"]
    assert applied["spec"]["template"]["metadata"]["name"] == f"{name}-git-2"
    assert drift("marquee", after, applied) == {}
    (container,) = rolled_out(applied, f"{name}-next")["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == "3Gi"
    assert [each["name"] for each in container["env"]] == ["ALGORITHM", "MODEL_VERSION"]


@pytest.mark.parametrize("name", SCORES)
def test_a_change_in_git_under_the_old_name_is_refused(name: str) -> None:
    """And so moves nobody either: that is why names in git come from what the template says."""
    before, after = changed(name, None)
    with pytest.raises(Refused):
        written(on_trial(name), helm_patch(before, after))

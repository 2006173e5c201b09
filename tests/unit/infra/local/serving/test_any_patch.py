import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from infra.local.machine import Machine
from infra.local.serving.__main__ import application
from infra.local.serving.controller import Controller
from infra.local.serving.state import load

API = "/apis/serving.knative.dev/v1/namespaces/default/services/score-svd"
PATCH = {"content-type": "application/merge-patch+json"}
GOOD = {
    "metadata": {"name": "score-svd", "annotations": {"a": "b"}, "resourceVersion": "1"},
    "spec": {
        "template": {
            "metadata": {"name": "score-svd-b"},
            "spec": {"containers": [{"image": "score", "env": [{"name": "ALGORITHM", "value": "svd"}]}]},
        },
        "traffic": [{"revisionName": "score-svd-b", "tag": "stable", "percent": 100}],
    },
}
TEXTS = st.text(st.characters(), max_size=5) | st.sampled_from(["\ud800", "score-svd-b", "", "\0", "100"])
"""Lone surrogates too: JSON can name them, and UTF-8 cannot hold them."""

NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -1, 100])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """Draw a patch that is good but for one place, in which anything is, under its name or another one."""
    if isinstance(value, dict) and (name := draw(st.sampled_from([*value, None]))):
        key = draw(st.just(name) | TEXTS)
        return {**value, key: draw(changed(value[name]))}
    if isinstance(value, list) and draw(st.booleans()):
        return [draw(changed(each)) for each in value]
    return draw(VALUES)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    machine = Machine(Path(tmp_path_factory.mktemp("machine")), 44_000)
    machine.data.mkdir()
    return machine


@settings(max_examples=200)
@given(changed(GOOD))
def test_whatever_is_sent_is_done_or_refused(machine: Machine, patch: Any) -> None:
    """By a Status, and what is kept can be read; never is it an error of the API itself."""
    (machine.data / "serving.json").unlink(missing_ok=True)
    http = TestClient(application(Controller(machine)), raise_server_exceptions=False)
    before = http.get(API).json()
    answer = http.patch(API, content=json.dumps(patch), headers=PATCH)
    after = http.get(API).json()
    if answer.status_code == 200:
        assert answer.json() == after
    else:
        assert answer.status_code in {400, 409, 422}
        assert answer.json()["kind"] == "Status"
        assert answer.json()["code"] == answer.status_code
        assert before == after
    assert load(machine)["score-svd"].version == int(after["metadata"]["resourceVersion"])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"metadata": {"resourceVersion": []}}', 422),
        (b'{"metadata": {"resourceVersion": {}}}', 422),
        (b'{"metadata": {"resourceVersion": 1}}', 422),
        (b'{"metadata": {"annotations": {"\\ud800": "x"}}}', 400),
        (b'{"metadata": {"annotations": {"x": "\\ud800"}}}', 400),
        (b'{"metadata": {"annotations": []}}', 422),
        (b'{"metadata": {"name": "\\ud800"}}', 400),
        (b'{"spec": {"\\ud800": 1}}', 400),
    ],
)
def test_what_is_of_a_wrong_type_is_refused(machine: Machine, body: bytes, code: int) -> None:
    """Not taken for another version, and not for the failure of the API."""
    http = TestClient(application(Controller(machine)), raise_server_exceptions=False)
    answer = http.patch(API, content=body, headers=PATCH)
    assert (answer.status_code, answer.json()["code"]) == (code, code)

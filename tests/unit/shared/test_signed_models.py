"""Whose models are taken, from the store up to the functions that use them."""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import pytest

from cli.forget import forget
from functions.evaluate_offline import main as evaluate_offline
from functions.train import core as training
from shared import bootstrap, keys
from shared.artifacts import ArtifactStore, Manifest, rewrite
from shared.errors import BadInput, BadSettings, Corrupt
from shared.events import ModelTrained, Tick
from shared.settings import Settings
from shared.signing import Signer
from tests import entry, fakes
from tests.ratings import checkerboard, matrix_of
from tests.unit.functions.rollout.world import World, handle

SIGNER, OTHER = Signer.new(), Signer.new()
PLACE = keys.model("svd", "new")
SPLIT, FILES = matrix_of(checkerboard(6), 1 / 36)
MODEL = training.fit(SPLIT.train, "svd", training.Parameters(4, 20, 0.02, 0.01), seed=1)


def manifest(version: str = "new") -> Manifest:
    return Manifest(kind="model", id=version, created_at="2026-11-23T12:00:00+00:00", metrics={"fit_seconds": 0.1})


def stores(**objects: Any) -> tuple[fakes.MemoryStore, ArtifactStore]:
    store = fakes.MemoryStore()
    return store, ArtifactStore(store, SIGNER, SIGNER.verifier)


def changed(store: fakes.MemoryStore, **fields: Any) -> None:
    """Change the manifest as somebody would who may write into the bucket."""
    key = f"{PLACE}/manifest.json"
    store.put(key, json.dumps({**json.loads(store.objects[key]), **fields}).encode())


def test_a_signed_model_is_taken_and_says_where_it_was_stored() -> None:
    """Stored twice it is the same."""
    _, artifacts = stores()
    stored = artifacts.put(PLACE, {"a": b"1"}, manifest())
    assert artifacts.put(PLACE, {"a": b"1"}, manifest()) == stored == artifacts.get(PLACE).manifest
    assert stored.signed_as == PLACE


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"signature": None}, "nobody signed it"),
        ({"signature": "AAAA"}, "none of the keys"),
        ({"parameters": {"seed": 2}}, "none of the keys"),
        ({"files": {"a": {"size": 1, "sha256": "0" * 64}}}, "none of the keys"),
        ({"signed_as": "models/svd/old"}, "none of the keys"),
        ({"a_field_of_later_code": 1}, "none of the keys"),
        ({"metrics": {"fit_seconds": float("nan")}}, "cannot be signed"),
    ],
)
def test_whatever_is_changed_in_a_manifest_it_is_refused(fields: dict[str, Any], why: str) -> None:
    """With the reason; fields that nobody knows are signed too."""
    store, artifacts = stores()
    artifacts.put(PLACE, {"a": b"1"}, manifest())
    changed(store, **fields)
    with pytest.raises(Corrupt, match=why):
        artifacts.get(PLACE)


def test_a_name_that_stands_twice_is_refused() -> None:
    """Two readers may take either."""
    store, artifacts = stores()
    artifacts.put(PLACE, {"a": b"1"}, manifest())
    data = store.objects[f"{PLACE}/manifest.json"]
    store.put(f"{PLACE}/manifest.json", data.replace(b'"id": "new"', b'"id": "old", "id": "new"'))
    with pytest.raises(Corrupt, match="twice"):
        artifacts.manifest(PLACE)


def test_an_older_model_under_a_newer_name_is_refused() -> None:
    """All its bytes are good, and they are not this model's; nor are they another algorithm's."""
    store, artifacts = stores()
    artifacts.put(keys.model("svd", "old"), {"a": b"1"}, manifest("old"))
    for place in (PLACE, keys.model("svdpp", "old")):
        for name in ("a", "manifest.json"):
            store.put(f"{place}/{name}", store.objects[f"{keys.model('svd', 'old')}/{name}"])
        with pytest.raises(Corrupt, match="it is models/svd/old, under another name"):
            artifacts.get(place)


def test_a_manifest_of_another_kind_is_no_way_around() -> None:
    """What lies among the models is signed, whatever it says it is."""
    store, artifacts = stores()
    ArtifactStore(store).put(PLACE, {"a": b"1"}, manifest().model_copy(update={"kind": "report"}))
    with pytest.raises(Corrupt, match="nobody signed it"):
        artifacts.get(PLACE)


def test_without_a_key_every_model_is_taken_and_only_models_are_signed() -> None:
    """Signing is a matter of who runs it; matrices are named by their content."""
    store, artifacts = stores()
    artifacts.put(PLACE, {"a": b"1"}, manifest())
    changed(store, signature=None)
    assert ArtifactStore(store).get(PLACE).files == {"a": b"1"}
    assert artifacts.put("matrices/m", {"a": b"1"}, manifest()).signature is None


def test_what_was_signed_is_signed_anew_when_somebody_is_taken_out() -> None:
    """By who has the key; what was not, or not truly, gets no signature that way."""
    store, artifacts = stores()
    artifacts.put(PLACE, {"a": b"x"}, manifest())
    with pytest.raises(BadInput, match="SIGNING_KEY_FILE"):
        rewrite(store, PLACE, lambda _: {"a": b"y"})
    assert rewrite(store, PLACE, lambda _: {"a": b"y"}, SIGNER)
    assert artifacts.get(PLACE).manifest.erased == 1
    changed(store, signature=None)
    rewrite(store, PLACE, lambda _: {"a": b"z"}, SIGNER)
    with pytest.raises(Corrupt, match="nobody signed it"):
        artifacts.get(PLACE)
    changed(store, signature=OTHER.sign(b""))
    with pytest.raises(Corrupt, match="none of the keys"):
        rewrite(store, PLACE, lambda _: {"a": b"w"}, SIGNER)


@pytest.fixture
def deps(tmp_path: Path) -> bootstrap.Deps:
    plain = fakes.deps(tmp_path, channel_poll_seconds="0.05", fresh_poll_seconds="0.05")
    return dataclasses.replace(plain, signer=SIGNER, verifier=SIGNER.verifier)


def serve(deps: bootstrap.Deps, version: str) -> None:
    made_from = keys.matrix(SPLIT.matrix_id)
    deps.artifacts.put(made_from, FILES, deps.manifest(kind="matrix", id=SPLIT.matrix_id, lake_version=0))
    told = deps.manifest(kind="model", id=version, made_from=made_from, metrics={"fit_seconds": 0.1})
    deps.artifacts.put(keys.model("svd", version), MODEL.to_files(), told)
    deps.channels.update("score-svd", lambda _: {"model_version": version})


@pytest.mark.parametrize("signer", [None, OTHER])
def test_score_goes_on_with_the_model_before(
    signer: Signer | None, deps: bootstrap.Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that nobody signed, or somebody else, never answers; the next one that is signed does."""
    serve(deps, "v1")
    with entry.client("score", deps, monkeypatch) as http:
        wait_for(http, "svd@v1")
        serve(dataclasses.replace(deps, signer=signer), "v2")
        time.sleep(0.3)
        assert http.get("/top/1").json()["model"] == "svd@v1"
        assert 'marquee_model_refused_total{algorithm="svd"}' in http.get("/metrics").text
        serve(deps, "v3")
        wait_for(http, "svd@v3")


def wait_for(http: Any, model: str) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        answer = http.get("/top/1")
        if answer.status_code == 200 and answer.json()["model"] == model:
            return
        time.sleep(0.02)
    raise AssertionError(answer.text)


def test_evaluate_offline_makes_no_report_of_a_model_that_nobody_signed(deps: bootstrap.Deps) -> None:
    """So it never passes the gate."""
    serve(dataclasses.replace(deps, signer=None), "v1")
    with pytest.raises(Corrupt, match="nobody signed it"):
        evaluate_offline.handle(ModelTrained("svd", "v1", SPLIT.matrix_id), deps)
    assert deps.objects.keys("reports/") == []


def test_rollout_accepts_no_model_that_nobody_signed() -> None:
    """Whatever its report says; the service stays as it is."""
    world = World.new()
    world.deps = dataclasses.replace(world.deps, verifier=SIGNER.verifier)
    with pytest.raises(Corrupt, match="nobody signed it"):
        handle(world.pass_gate("m1", 1), world.copy())
    assert world.state.name == "empty"
    world.deps = dataclasses.replace(world.deps, signer=SIGNER)
    handle(world.pass_gate("m2", 2), world.copy())
    handle(Tick(), world.copy())
    assert world.state.name == "stable"


def test_a_key_file_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    """A function that shall check, and cannot, does not run unchecked."""
    told = fakes.ENVIRONMENT | {"VERIFY_KEY_FILE": str(tmp_path / "none.pem")}
    with pytest.raises(BadSettings, match=r"none\.pem"):
        bootstrap.signatures(Settings.from_env(told))


def test_who_signs_and_is_told_of_nobody_else_trusts_itself(tmp_path: Path) -> None:
    """Its own models are what it starts from; who is told whose models to take follows no other's decisions."""
    (tmp_path / "signing.pem").write_text(SIGNER.private_pem)
    told = fakes.ENVIRONMENT | {"SIGNING_KEY_FILE": str(tmp_path / "signing.pem")}
    signer, verifier, judge = bootstrap.signatures(Settings.from_env(told))
    assert signer
    assert verifier == judge == signer.verifier
    verifier.check(b"said", signer.sign(b"said"))
    assert bootstrap.signatures(Settings.from_env(fakes.ENVIRONMENT)) == (None, None, None)
    (tmp_path / "verify.pem").write_text(Signer.new().public_pem)
    for name in ("VERIFY_KEY_FILE", "VERIFY_DECISIONS_FILE"):
        _, verifier, judge = bootstrap.signatures(Settings.from_env(told | {name: str(tmp_path / "verify.pem")}))
        assert judge != signer.verifier
        assert (verifier == signer.verifier) == (name == "VERIFY_DECISIONS_FILE")


def test_a_user_is_taken_out_of_a_signed_model_and_it_goes_on(tmp_path: Path) -> None:
    """The one reason for which a model changes, and it is signed again."""
    deps = dataclasses.replace(fakes.bucket(tmp_path), signer=SIGNER, verifier=SIGNER.verifier)
    serve(deps, "v1")
    report = forget("1", deps, 0)
    assert (report.erased["models"], report.left) == (1, {})
    assert deps.artifacts.get(keys.model("svd", "v1")).manifest.erased == 1

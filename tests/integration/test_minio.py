"""Every function, with its own key, on a real MinIO: what it must do it can, and nothing else."""

import dataclasses
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from cli.forget import forget
from functions.build_matrix import main as build_matrix
from functions.evaluate_offline import main as evaluate_offline
from functions.evaluate_online import main as evaluate_online
from functions.fold_lake import main as fold_lake
from functions.rollout import main as rollout
from functions.train import main as train
from infra.authority import Authority
from infra.background import Background
from infra.local.machine import BUCKET, ROOT
from infra.minio import server
from infra.minio.policies import policies
from infra.minio.set_up import Key, set_up
from shared import bootstrap, experiment, forgotten, keys
from shared.adapters.s3 import client
from shared.bootstrap import Deps, build  # by its own name: `entry.client` replaces the other
from shared.errors import BadSettings, NotReady
from shared.events import LakeFolded, MatrixBuilt, Tick
from shared.settings import Settings
from tests import entry, fakes
from tests.ratings import checkerboard
from tests.unit.functions.rollout.world import World

pytestmark = [pytest.mark.slow, pytest.mark.cluster]  # it is the cluster's store, and compiled for it

ROOT_KEY = Key("root", "root-secret-of-a-test")
KEYS = {account: Key(account, f"{account}-secret-of-a-test") for account in policies()}
READERS = {"score", "recommend"}
"""Who never writes, and so does not probe whether writes are conditional."""


@dataclass(frozen=True)
class Store:
    """A running MinIO."""

    endpoint: str
    environment: dict[str, str]

    def told(self, key: Key, **settings: str) -> dict[str, str]:
        places = {"BUCKET": BUCKET, "S3_ENDPOINT": self.endpoint, "KAFKA_BOOTSTRAP": "127.0.0.1:1"}
        tuned = {"PARAMS_FILE": str(ROOT / "params.yaml"), "MIN_NEW_RATINGS": "1", "COMPACT_EVERY_FOLDS": "1"}
        return {**places, **tuned, **settings, **key.environment, **self.environment}

    def deps(self, account: str, **settings: str) -> Deps:
        """Return what a function is built with, but for Kafka."""
        deps = build(account, self.told(KEYS[account], **settings), writes=account not in READERS)
        publisher = fakes.MemoryPublisher()
        return dataclasses.replace(deps, open_publisher=lambda: publisher)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@retry(retry=retry_if_exception_type(NotReady), stop=stop_after_delay(30), wait=wait_fixed(0.2), reraise=True)
def until_set_up(endpoint: str) -> None:
    set_up(endpoint, BUCKET, ROOT_KEY, KEYS)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("minio")
    address = f"127.0.0.1:{free_port()}"
    minio = Background(folder, "minio")
    minio.start(server.command(folder / "data", address), server.environment(ROOT_KEY))
    try:
        until_set_up(f"http://{address}")
        yield Store(f"http://{address}", {})
    finally:
        minio.stop()


def told_by(deps: Deps) -> list[Any]:
    return deps.publisher.events  # type: ignore[attr-defined, no-any-return]


def land(store: Store, lines: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    with entry.client("ingest", store.deps("ingest"), monkeypatch) as ingest:
        for offset, line in enumerate(lines):
            headers = {"ce-knativekafkapartition": "0", "ce-knativekafkaoffset": str(offset)}
            assert ingest.post("/movielog", content=line, headers=headers).status_code == 204


def answers(store: Store, path: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    with entry.client("score", store.deps("score"), monkeypatch) as score:
        deadline = time.monotonic() + 20
        while score.get("/health/readiness").status_code != 200 and time.monotonic() < deadline:
            time.sleep(0.2)
        return score.get(path)


def test_every_function_can_do_its_work_with_its_own_key(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once round: from log lines to lists, to a verdict about them, to old rows let go, and a user erased."""
    lines = [
        f"2026-11-20T10:{n // 60:02d}:{n % 60:02d},{user},GET /rate/{movie}={rating:g}".encode()
        for n, (user, movie, rating, _) in enumerate(checkerboard(6))
    ]
    land(store, [*lines, b"no line at all"], monkeypatch)

    folding = store.deps("fold-lake")
    fold_lake.handle(Tick(), folding)
    (folded,) = told_by(folding)
    assert folded.n_rows == len(lines) + 1
    assert folding.objects.keys(keys.LANDING) == []

    building = store.deps("build-matrix")
    build_matrix.handle(LakeFolded(folded.lake_version, folded.n_rows), building)
    (built,) = told_by(building)
    assert isinstance(built, MatrixBuilt)

    training = store.deps("train", TRAIN_THREADS="1")
    train.handle(built, training)
    train.handle(built, training)  # finds what it stored

    evaluating = store.deps("evaluate-offline", RMSE_MARGIN="10")
    for trained in told_by(training)[:2]:
        evaluate_offline.handle(trained, evaluating)
    svd, svdpp = told_by(evaluating)

    world = World(store.deps("rollout"), {name: fakes.MemoryRevisions(name) for name in ("score-svd", "score-svdpp")})
    rollout.evaluated(dataclasses.replace(svd, accepted=True), world.copy())
    for _ in range(5):
        rollout.tick(Tick(), world.copy())
    assert world.state.stable
    assert world.state.stable.model_version == svd.model_version

    assert answers(store, "/top/1", monkeypatch).json()["model"] == f"svd@{svd.model_version}"

    on_trial(world.deps, svdpp.model_version, folded.lake_version)
    judging = store.deps("evaluate-online", EXPERIMENT_STEP="5")
    evaluate_online.handle(Tick(), evaluate_online.Online(judging))
    (verdict,) = told_by(judging)
    rollout.judged(verdict, world.copy())

    recommending = store.deps("recommend")
    standing = experiment.known(recommending.channels)
    assert standing
    store.deps("operator").objects.put(keys.TITLES, b"{}")
    assert recommending.objects.get(keys.TITLES).data == b"{}"

    later = dataclasses.replace(folding, now=lambda: datetime.now(UTC) + timedelta(days=1000))
    fold_lake.handle(Tick(), later)
    assert "expired_at" in folding.channels.get(keys.EXPIRY_CHANNEL)
    assert folding.objects.keys(keys.ONLINE_REPORTS) == []

    erased = forget("1", store.deps("operator"), 0)
    assert erased.left == {}
    assert forgotten.read(store.deps("ingest").objects).among({"1", "2"}) == {"1"}
    assert answers(store, "/top/1", monkeypatch).status_code == 404
    for account in ("fold-lake", "build-matrix", "train"):
        assert forgotten.read(store.deps(account).objects).digests


def on_trial(deps: Deps, model_version: str, lake_version: int) -> None:
    """Store, with the key of `rollout`, that a model of SVD++ is live and tried against itself."""
    began = deps.now_us() - 3_600_000_000
    release = {"model_version": model_version, "lake_version": lake_version}
    canary = {"phase": "serving", "periods": [{"since": began, "percent": 50}]}
    state = {
        "stable": {**release, "revision": "svdpp-a"},
        "canary": {"release": {**release, "revision": "svdpp-b"}, **canary},
        "routed_at": began,
    }
    deps.channels.update("score-svdpp", lambda _: state)


AREAS = {
    "landing": "landing/x.parquet",
    "refused": "refused/x.parquet",
    "forgotten": "forgotten/digest",
    "log": "lake/events/_delta_log/00000000000000000099.json",
    "rows": "lake/events/kind=rating/date=2026-11-20/x.parquet",
    "elsewhere": "lake/others/x.parquet",
    "matrices": "matrices/m/manifest.json",
    "models": "models/svd/v/manifest.json",
    "factors": "models/svd/v/factors.npz",
    "reports": "reports/svdpp/v/report.json",
    "online": "reports/online/7.json",
    "decisions": "decisions/score-svd/v/7.json",
    "live": "channels/score-svd.json",
    "matrix": "channels/build_matrix.json",
    "evaluated": "channels/evaluate_online.json",
    "experiment": "channels/experiment.json",
    "expired": "channels/expire.json",
    "erasures": "channels/forget.json",
    "titles": "catalogue/titles.json",
    "probe": "probe/x",
}
PROBES = {"probe": "get put delete"}
MAY = {
    "ingest": {
        "landing": "put",
        "forgotten": "get list",
        **PROBES,
    },
    "fold-lake": {
        "landing": "get delete list",
        "refused": "put",
        "forgotten": "get list",
        "matrices": "get",
        "models": "get list",
        "factors": "get list",
        "log": "get put delete list",
        "rows": "get put delete list",
        "online": "get delete list",
        "live": "get",
        "matrix": "get put",
        "evaluated": "get",
        "expired": "get put",
        **PROBES,
    },
    "build-matrix": {
        "forgotten": "get list",
        "log": "get list",
        "rows": "get list",
        "matrices": "get put",
        "matrix": "get put",
        **PROBES,
    },
    "train": {
        "forgotten": "get list",
        "matrices": "get",
        "models": "get put",
        "factors": "get put",
        "live": "get",
        **PROBES,
    },
    "evaluate-offline": {
        "matrices": "get",
        "models": "get",
        "factors": "get",
        "reports": "get put",
        "live": "get",
        **PROBES,
    },
    "evaluate-online": {
        "log": "get list",
        "rows": "get list",
        "models": "get",
        "factors": "get",
        "decisions": "get put",
        "online": "get put",
        "live": "get",
        "evaluated": "get put",
        "experiment": "get put",
        **PROBES,
    },
    "rollout": {
        "log": "get",
        "models": "get",
        "factors": "get",
        "reports": "get",
        "decisions": "get",
        "live": "get put",
        **PROBES,
    },
    "score": {
        "log": "get list",
        "rows": "get list",
        "matrices": "get",
        "models": "get",
        "factors": "get",
        "live": "get",
        "erasures": "get",
    },
    "recommend": {
        "experiment": "get",
        "titles": "get",
    },
    "registrar": {
        "models": "get list",
        "factors": "list",
        "live": "get",
    },
    "operator": dict.fromkeys(AREAS, "get put delete list"),
}
"""What each account may do where; all else is refused."""


def is_allowed(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except NotReady as error:
        if "AccessDenied" not in str(error):
            raise
        return False
    return True


@pytest.mark.parametrize("account", MAY)
def test_an_account_may_do_this_and_nothing_else(store: Store, account: str) -> None:
    """Each of four operations in each area is tried on the real store."""
    owner = store.deps("operator").objects
    objects = build(account, store.told(KEYS[account]), writes=False).objects
    found = {}
    for area, key in AREAS.items():
        owner.put(key, b"{}")
        prefix = keys.LAKE_LOG if area == "log" else f"{key.rsplit('/', 1)[0]}/"
        attempts: dict[str, Callable[[], object]] = {
            "get": lambda key=key: objects.get(key),  # type: ignore[misc]
            "put": lambda key=key: objects.put(key, b"[]"),  # type: ignore[misc]
            "delete": lambda key=key: objects.delete([key]),  # type: ignore[misc]
            "list": lambda prefix=prefix: objects.keys(prefix),  # type: ignore[misc]
        }
        found[area] = " ".join(name for name, attempt in attempts.items() if is_allowed(attempt))
        owner.delete([key])
    assert {area: may for area, may in found.items() if may} == MAY[account]


@pytest.mark.parametrize("key", [KEYS["score"], Key("score", "wrong-secret"), Key("nobody", "wrong-secret")])
def test_nobody_lists_or_changes_the_bucket_itself(store: Store, key: Key) -> None:
    """Neither by a function's key nor by a wrong one."""
    s3 = client(store.endpoint, key.environment)
    for attempt in (
        lambda: s3.list_objects_v2(Bucket=BUCKET),
        lambda: s3.delete_bucket(Bucket=BUCKET),
        lambda: s3.create_bucket(Bucket="another"),
        lambda: s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"}),
    ):
        with pytest.raises(s3.exceptions.ClientError) as caught:
            attempt()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_set_up_again_it_is_as_it_was_and_a_new_key_replaces_the_old(store: Store) -> None:
    """A key that leaked is changed by a Secret and another run."""
    new = Key("recommend", "another-secret-of-a-test")
    set_up(store.endpoint, BUCKET, ROOT_KEY, KEYS | {"recommend": new})
    assert not is_allowed_with(store, KEYS["recommend"])
    assert is_allowed_with(store, new)
    until_set_up(store.endpoint)
    assert is_allowed_with(store, KEYS["recommend"])


def is_allowed_with(store: Store, key: Key) -> bool:
    s3 = client(store.endpoint, key.environment)
    try:
        s3.get_object(Bucket=BUCKET, Key=keys.channel(keys.EXPERIMENT_CHANNEL))
    except s3.exceptions.NoSuchKey:
        return True
    except s3.exceptions.ClientError:
        return False
    return True


def test_a_bucket_that_keeps_versions_is_refused(store: Store) -> None:
    """In them users who were forgotten would live on."""
    s3 = client(store.endpoint, ROOT_KEY.environment)
    s3.create_bucket(Bucket="versioned")
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    with pytest.raises(BadSettings, match="keeps versions"):
        set_up(store.endpoint, "versioned", ROOT_KEY, {})


def test_what_landed_never_goes_by_itself(store: Store) -> None:
    """What could not be read does, and what a start left behind."""
    s3 = client(store.endpoint, ROOT_KEY.environment)
    rules = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert {each["Filter"]["Prefix"]: each["Expiration"]["Days"] for each in rules} == {"refused/": 90, "probe/": 1}


def test_a_store_with_an_authority_of_its_own_is_reached_by_both_clients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """boto3 trusts what AWS_CA_BUNDLE names, delta-rs what SSL_CERT_FILE does; without them neither trusts it."""
    authority = Authority(tmp_path / "authority")
    key, certificate = authority.issue("minio", "/CN=minio", ["DNS:minio", "IP:127.0.0.1"])
    served = tmp_path / "certificates"
    served.mkdir()
    (served / "private.key").write_bytes(key.read_bytes())
    (served / "public.crt").write_bytes(certificate.read_bytes())
    address = f"127.0.0.1:{free_port()}"
    trusted = str(authority.certificate)
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted)
    minio = Background(tmp_path, "minio")
    minio.start(server.command(tmp_path / "data", address, served), server.environment(ROOT_KEY))
    try:
        until_set_up(f"https://{address}")
        store = Store(f"https://{address}", {"AWS_CA_BUNDLE": trusted})
        deps = store.deps("fold-lake")
        assert deps.lake.version() == -1
        monkeypatch.delenv("SSL_CERT_FILE")
        monkeypatch.delenv("AWS_CA_BUNDLE")
        told = Store(store.endpoint, {}).told(KEYS["fold-lake"])
        with pytest.raises(NotReady):
            build("fold-lake", told)
        with pytest.raises(NotReady):
            bootstrap.lake(Settings.from_env(told), told).version()
    finally:
        minio.stop()

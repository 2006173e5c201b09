"""Old rows leave the lake on a real store, while the function that lets them go is killed at every step."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from functions.ingest.core import landing_object
from shared import keys
from shared.adapters.lake import DeltaLake
from shared.adapters.s3 import delta_options
from shared.ports import Fold, Partition
from shared.records import to_table
from shared.rows import Row
from tests.integration.conftest import Marquee, wait
from tests.integration.test_withstands import arrived, expected, movies, rating_lines
from tests.lake import earlier

pytestmark = pytest.mark.slow

FAILPOINTS = ["expire.before_drop", "expire.after_drop", "expire.after_vacuum"]
LONG_AGO = datetime.now(UTC) - timedelta(days=800)


def accounts(offsets: range, moment: datetime) -> list[Row]:
    at = round(moment.timestamp() * 1e6)
    return [Row("account", "expiry", 0, offset, at, time=at, user_id=str(offset + 1)) for offset in offsets]


def stored(marquee: Marquee, version: int | None = None) -> list[int]:
    found = marquee.lake.read("account", ["offset"], version).to_pylist()
    return [row["offset"] for row in found if row["topic"] == "expiry"]


@pytest.fixture
def channels(marquee: Marquee) -> Iterator[None]:
    """Leave the channels as they were."""
    names = [keys.MATRIX_CHANNEL, keys.EVALUATION_CHANNEL, "score-svd", "score-svdpp"]
    before = {name: marquee.deps.channels.get(name) for name in names}
    yield
    for name, state in before.items():
        marquee.deps.channels.update(name, lambda _, state=state: state)  # type: ignore[misc]


@pytest.mark.usefixtures("channels")
def test_old_rows_go_whatever_is_killed_and_live_versions_stay(marquee: Marquee) -> None:
    """1,000 accounts of long ago go and 500 of today stay, with 2,000 ratings that stream in and a kill at every step;
    the version of a live model's matrix reads as it did.
    """
    deps, since = marquee.deps, marquee.ends()
    deps.objects.put(*landing_object([*accounts(range(1_000), LONG_AGO), *accounts(range(1_000, 1_500), deps.now())]))
    wait(lambda: len(stored(marquee)) == 1_500, 60, "1,500 accounts")
    version = marquee.lake.version()
    deps.artifacts.put(keys.matrix("old"), {}, deps.manifest(kind="matrix", id="old", lake_version=version))
    for algorithm in ("svd", "svdpp"):
        story = deps.manifest(kind="model", id="old", made_from=keys.matrix("old"))
        deps.artifacts.put(keys.model(algorithm, "old"), {}, story)
        deps.channels.update(keys.score_service(algorithm), lambda now: {**now, "previous": {"model_version": "old"}})
    for place in FAILPOINTS:
        (marquee.failpoints / place).touch()
    with marquee.asking():
        for channel in (keys.MATRIX_CHANNEL, keys.EVALUATION_CHANNEL):
            deps.channels.update(channel, lambda _: {"lake_version": version})
        marquee.send(rating_lines(2_000, "expiry"), 100)
        wait(lambda: len(stored(marquee)) == 500, 120, "end of the old accounts")
        wait(lambda: not any((marquee.failpoints / place).exists() for place in FAILPOINTS), 120, "kills")
        wait(lambda: "expired_at" in deps.channels.get(keys.EXPIRY_CHANNEL), 60, "an end")
        wait(lambda: arrived(marquee, since, 2_000), 60, "2,000 ratings")
    assert movies(marquee, since) == expected(2_000, "expiry")
    assert stored(marquee) == list(range(1_000, 1_500))
    assert stored(marquee, version) == list(range(1_500))


def test_files_leave_the_store_once_nobody_needs_them(marquee: Marquee) -> None:
    """In a lake of its own, whose log says that all was days ago."""
    objects, prefix = marquee.deps.objects, "lake-of-long-ago/"
    options = delta_options(marquee.environment["S3_ENDPOINT"], marquee.environment)
    lake = DeltaLake("s3://marquee/lake-of-long-ago", options)
    live = lake.fold(to_table(accounts(range(10), LONG_AGO)), Fold(1, []))
    lake.fold(to_table(accounts(range(10, 20), datetime.now(UTC))), Fold(2, []))
    lake.drop([Partition("account", LONG_AGO.date())])
    for key in objects.keys(f"{prefix}_delta_log/"):
        objects.put(key, earlier(objects.get(key).data, hours=100))

    def vacuum(live: int) -> int:
        return DeltaLake(lake.uri, options).vacuum([live]).n_files

    assert vacuum(live) == 0
    assert len(lake.read("account", ["offset"], live)) == 10
    live = lake.fold(to_table(accounts(range(20, 30), datetime.now(UTC))), Fold(3, []))
    time.sleep(1)
    assert vacuum(live) == 1
    assert lake.read("account", ["offset"])["offset"].to_pylist() == list(range(10, 30))
    objects.delete(objects.keys(prefix))

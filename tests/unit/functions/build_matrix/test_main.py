import dataclasses
import json
from datetime import timedelta

import pytest

from functions.build_matrix.main import handle
from shared import forgotten, keys
from shared.errors import Conflict, Corrupt, NotReady
from shared.events import LakeFolded, MatrixBuilt, Tick
from shared.history import HISTORY, History
from shared.matrix import Split
from shared.ports import Fold
from shared.records import to_table
from shared.rows import Row
from tests import entry, fakes
from tests.lake import put_ratings
from tests.ratings import checkerboard, table


@pytest.fixture
def deps(tmp_path):
    return fakes.deps(tmp_path, min_new_ratings="30")


def test_a_matrix_is_stored_then_announced(deps):
    """Enough ratings give one stored matrix with its story, one event and one state."""
    put_ratings(deps.lake, table(checkerboard(6)))
    handle(LakeFolded(1, 35), deps)
    (built,) = deps.publisher.events
    artifact = deps.artifacts.get(keys.matrix(built.matrix_id))
    split = Split.from_files(built.matrix_id, artifact.files)
    assert built == MatrixBuilt(built.matrix_id, 1, split.train.n_ratings)
    assert (artifact.manifest.lake_version, artifact.manifest.offsets) == (1, {"movielog-0": [0, 34]})
    assert artifact.manifest.metrics["n_ratings"] == 35
    assert deps.channels.get("build_matrix")["matrix_id"] == built.matrix_id


def test_too_few_ratings_build_nothing(deps):
    """Below the threshold nothing is stored and nothing said."""
    put_ratings(deps.lake, table(checkerboard(5)))
    handle(Tick(), deps)
    assert (deps.publisher.events, deps.channels.get("build_matrix")) == ([], {})


def test_the_same_lake_builds_once(deps):
    """A repeated event finds nothing new."""
    put_ratings(deps.lake, table(checkerboard(6)))
    handle(Tick(), deps)
    handle(Tick(), deps)
    assert len(deps.publisher.events) == 1


def test_an_old_matrix_is_built_anew_with_what_little_is_new(deps):
    """After the age in the settings one new rating is enough; drift is measured against the last matrix."""
    put_ratings(deps.lake, table(checkerboard(6)))
    handle(Tick(), deps)
    put_ratings(deps.lake, table([("1", "m0", 5, 9_999)]), first_offset=100)
    handle(Tick(), deps)
    assert len(deps.publisher.events) == 1
    later = dataclasses.replace(deps, now=lambda: fakes.NOW + timedelta(hours=73))
    handle(Tick(), later)
    assert len(deps.publisher.events) == 2
    newest = deps.artifacts.manifest(keys.matrix(deps.publisher.events[1].matrix_id))
    assert newest.metrics["drift"]["new_users_share"] == 0


def test_watches_alone_make_an_old_matrix_anew(deps):
    """What users watch is in its history: after the age in the settings one new watch is enough."""
    put_ratings(deps.lake, table(checkerboard(6)))
    handle(Tick(), deps)
    watch = Row("watch", "movielog", 0, 100, 5, time=5, user_id="1", movie_id="m0", minute=1)
    deps.lake.fold(to_table([watch]), Fold(deps.lake.last_fold().number + 1, []))
    handle(Tick(), deps)
    assert len(deps.publisher.events) == 1
    later = dataclasses.replace(deps, now=lambda: fakes.NOW + timedelta(hours=73))
    handle(Tick(), later)
    handle(Tick(), later)
    assert len({built.matrix_id for built in deps.publisher.events}) == len(deps.publisher.events) == 2


def test_a_matrix_knows_when_the_lake_was_read(deps):
    """It is the moment before, not the one when the matrix was finished: what came in between it does not know."""
    moments = (fakes.NOW + timedelta(seconds=second) for second in range(100))
    put_ratings(deps.lake, table(checkerboard(6)))
    handle(Tick(), dataclasses.replace(deps, now=lambda: next(moments)))
    manifest = deps.artifacts.manifest(keys.matrix(deps.publisher.events[0].matrix_id))
    assert manifest.lake_read_at == fakes.NOW.isoformat() < manifest.created_at


def test_a_matrix_not_announced_is_announced_next_time(deps):
    """Kafka away after the matrix was stored: the same matrix again, then the event, then the state."""
    put_ratings(deps.lake, table(checkerboard(6)))
    deps.publisher.down = True
    with pytest.raises(NotReady):
        handle(Tick(), deps)
    assert deps.channels.get("build_matrix") == {}
    deps.publisher.down = False
    handle(Tick(), deps)
    assert len(deps.publisher.events) == 1


@pytest.mark.parametrize(
    "damage",
    [
        *(b"[" * 100_000, b"[]", b"", {"n_stored": "x"}, {"n_stored": None}, {"n_stored": -1}, {"lake_version": "x"}),
        *({"built_at": 5}, {"built_at": "x"}, {"built_at": "2026-01-01T00:00:00"}, {"statistics": 5}),
        *({"statistics": {"n_ratings": 5}}, {"n_stored": 1e308}),
        {"lake_version": 99},
        {"n_stored": 10**18},
        {"n_watched": 10**18},
    ],
    ids=lambda damage: str(damage)[:30],
)
def test_a_damaged_channel_counts_as_none_and_is_healed(deps, damage):
    """The matrix is built as if it were the first one, and the next tick finds it built."""
    put_ratings(deps.lake, table(checkerboard(6)))
    handle(Tick(), deps)
    channel = keys.channel("build_matrix")
    if not isinstance(damage, bytes):
        damage = json.dumps(json.loads(deps.objects.get(channel).data) | damage).encode()
    deps.objects.put(channel, damage)
    for _ in range(2):
        handle(Tick(), deps)
    assert len(deps.publisher.events) == 2
    assert deps.channels.get("build_matrix")["n_stored"] == 35


def test_a_rating_that_is_no_number_stops_the_matrix(deps):
    """It is named; nothing is stored and nothing said, and the matrix before it stays."""
    put_ratings(deps.lake, table(checkerboard(6)))
    put_ratings(deps.lake, table([("1", "m0", float("nan"), 9_999)]), first_offset=100)
    with pytest.raises(Corrupt, match="movielog-0, offset 100: rating is nan"):
        handle(Tick(), deps)
    assert (deps.publisher.events, deps.objects.objects) == ([], {})


def test_a_tick_is_answered_204(deps, monkeypatch):
    """Through the real framework: a PingSource's tick is handled, and the store down is 503."""
    tick = {"ce-id": "1", "ce-source": "/t", "ce-type": "dev.knative.sources.ping", "ce-specversion": "1.0"}
    with entry.client("build_matrix", deps, monkeypatch) as http:
        assert http.post("/", headers=tick).status_code == 204
        deps.objects.down = True
        assert http.post("/", headers=tick).status_code == 503


def test_a_matrix_begun_before_somebody_asked_to_be_forgotten_is_not_stored(deps, monkeypatch):
    """They may be in it; the source comes again, and then it is."""
    put_ratings(deps.lake, table(checkerboard(6)))
    make = deps.manifest

    def ask(self, **facts):
        forgotten.remember(deps.objects, "1")
        return make(**facts)

    with monkeypatch.context() as patch:
        patch.setattr(type(deps), "manifest", ask)
        with pytest.raises(Conflict):
            handle(Tick(), deps)
    assert (deps.objects.keys("matrices/"), deps.publisher.events) == ([], [])
    handle(Tick(), deps)
    assert len(deps.publisher.events) == 1


def test_a_matrix_made_while_somebody_is_erased_does_not_hold_them(deps):
    """They were on the list when it began, and the lake still held what they rated and watched."""
    put_ratings(deps.lake, table(checkerboard(6)))
    watches = [
        Row("watch", "movielog", 0, 100 + n, 5, time=5, user_id=user, movie_id="m9") for n, user in enumerate("17")
    ]
    deps.lake.fold(to_table(watches), Fold(2, []))
    forgotten.remember(deps.objects, "1")
    handle(Tick(), deps)
    (built,) = deps.publisher.events
    files = deps.artifacts.get(keys.matrix(built.matrix_id)).files
    assert Split.from_files(built.matrix_id, files).train.users == ["2", "3", "4", "5", "6"]
    assert History.from_bytes(files[HISTORY]).users == ["2", "3", "4", "5", "6", "7"]

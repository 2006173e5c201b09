"""The whole goes round by itself: users do something, models learn from it, users try them, and the best go live."""

from collections.abc import Iterator

import pyarrow.compute as pc
import pytest

from cli import backfill
from cli.drill.acts import bad_answers
from cli.drill.stage import FIRST_RATINGS, SERVICE, SETTINGS, OneMachine, Stage, crowd
from functions.ingest import core as ingest
from infra.local.machine import Machine
from infra.local.stack import Stack, running
from shared import keys
from shared.artifacts import MANIFEST
from shared.decision import Decision
from shared.events import ALGORITHMS, MOVIELOG
from shared.history import HISTORY, History
from shared.matrix import Split
from shared.model import FactorModel
from shared.records import SCHEMA, to_table
from shared.rollout import Change
from shared.rows import Place
from tests.integration.conftest import wait

pytestmark = pytest.mark.long

PORT_OFFSET = 17_500
ROUNDS = 3
LOOP = SETTINGS | {"MIN_NEW_RATINGS": "4000", "UNREADY_SECONDS": "60"}
VERDICTS = {"promoted": "promote", "rolled_back": "roll_back"}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A machine on which nobody did anything but use the site, until three canaries had their end."""
    with running(Stack(Machine(tmp_path_factory.mktemp("loop"), PORT_OFFSET), LOOP)) as stack:
        stage = Stage(OneMachine(stack), crowd(seed=3), 60.0, {"first": FIRST_RATINGS})
        with stage.crowds.playing():
            stage.archive("first")
            stage.wait(lambda: len(ends(stage)) >= ROUNDS, f"{ROUNDS} ends of canaries", 900)
        wait(lambda: n_logged(stage) >= stage.crowds.played.lines, 60, "row of the last line")
        yield stage


def ends(stage: Stage) -> list[Change]:
    """Return how canaries ended; the first model, which nobody was there to be compared with, was none."""
    return [change for change in stage.state.log if change.what in VERDICTS][1:]


def n_logged(stage: Stage) -> int:
    lake = stage.deps.lake
    return sum(pc.sum(pc.equal(lake.read(kind, [])["topic"], MOVIELOG)).as_py() or 0 for kind in lake.counts())


def artifacts(stage: Stage, kind: str) -> list[str]:
    """Return the folders of all artifacts of a kind."""
    return [key.removesuffix(f"/{MANIFEST}") for key in stage.deps.objects.keys(kind) if key.endswith(f"/{MANIFEST}")]


def test_three_models_of_three_matrices_had_their_trial(stage: Stage) -> None:
    """Each learnt from what users did since the one before, and none was tried twice."""
    tried = [end.model_version for end in ends(stage)]
    made_from = [stage.deps.artifacts.manifest(keys.model("svd", version)).made_from for version in tried]
    assert len(set(made_from)) == len(set(tried)) == len(tried) >= ROUNDS
    begun = [change.model_version for change in stage.state.log if change.what == "deploying"]
    assert len(set(begun)) == len(begun)
    read = [stage.deps.artifacts.manifest(prefix).lake_version for prefix in artifacts(stage, "matrices/")]
    assert len(set(read)) == len(read) > ROUNDS


def test_nobody_was_without_a_list(stage: Stage) -> None:
    """Every visit of all that time got one, and the lake has what each was served, also if the router asked twice."""
    assert bad_answers(stage) == 0
    assert stage.crowds.played.visits == stage.crowds.played.lists > 5_000
    served = stage.deps.lake.read("served", ["request_id"])
    assert pc.count_distinct(served["request_id"]).as_py() == stage.crowds.played.visits


def test_every_end_rests_on_a_decision_stored_before_it(stage: Stage) -> None:
    """The decision is about that model beside the one that was live, and says what was done."""
    live = next(change.model_version for change in stage.state.log if change.what == "promoted")
    for end in ends(stage):
        assert end.evidence, end.why
        decision = Decision.from_bytes(stage.deps.objects.get(end.evidence).data)
        assert (decision.service, decision.model_version, decision.against) == (SERVICE, end.model_version, live)
        assert (decision.verdict, decision.reason) == (VERDICTS[end.what], end.why)
        assert decision.decided_at <= end.at
        if end.what == "promoted":
            live = end.model_version
    assert stage.state.model_version == live


def test_all_that_was_stored_can_be_read(stage: Stage) -> None:
    """Every file of every matrix, model and report is what its manifest vouches for, and makes sense."""
    store = stage.deps.artifacts
    for prefix in artifacts(stage, "matrices/"):
        artifact = store.get(prefix)
        assert Split.from_files(artifact.manifest.id, artifact.files).train.n_ratings > 0
        assert History.from_bytes(artifact.files[HISTORY])
    matrices = set(artifacts(stage, "matrices/"))
    for algorithm in ALGORITHMS:
        for prefix in artifacts(stage, keys.models(algorithm)):
            artifact = store.get(prefix)
            assert FactorModel.from_files(artifact.files).users
            assert artifact.manifest.made_from in matrices
    for prefix in artifacts(stage, "reports/"):
        assert store.get(prefix).manifest.made_from


def test_the_lake_is_what_was_logged(stage: Stage) -> None:
    """Each line of Kafka is one row, with all that it says; none is in quarantine, and there are no others."""
    columns = [name for name in SCHEMA.names if name != "ingested_at"]
    order = [("partition", "ascending"), ("offset", "ascending")]
    logged = to_table(rows(stage)).select(columns).sort_by(order)
    assert len(logged) == stage.crowds.played.lines
    assert set(logged["kind"].to_pylist()) == {"account", "rating", "request", "watch"}
    for kind in ("account", "rating", "request", "watch"):
        found = stage.deps.lake.read(kind, columns).select(columns)
        found = found.filter(pc.equal(found["topic"], MOVIELOG)).sort_by(order)
        assert found.equals(logged.filter(pc.equal(logged["kind"], kind)).sort_by(order)), kind
    assert len(stage.deps.lake.read("quarantine", [])) == 0


def rows(stage: Stage) -> list[ingest.Row]:
    """Return what the lines in Kafka say."""
    now, limits = stage.deps.now_us(), stage.deps.settings.limits
    return [
        ingest.row(record.value, Place(MOVIELOG, span.partition, record.offset, now), limits)
        for span in backfill.plan(MOVIELOG, stage.environment)
        for _, records in backfill.read(MOVIELOG, span, stage.environment)
        for record in records
    ]

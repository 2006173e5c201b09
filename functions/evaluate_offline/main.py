"""Evaluate offline: `marquee.model.trained` in, a report, a gate, and `marquee.model.evaluated` out."""

import json
import time
from typing import Any

import numpy as np

from functions.evaluate_offline import core
from shared import bootstrap, keys, rollout, telemetry
from shared.adapters.entrypoint import event_app, target
from shared.artifacts import dumps
from shared.errors import BadEvent, Corrupt, NotFound
from shared.events import ModelEvaluated, ModelTrained
from shared.matrix import Split
from shared.model import FactorModel
from shared.ranking import best

REPORT = "report.json"
NOTHING = np.zeros(0, dtype=np.int64)


def handle(event: ModelTrained, deps: bootstrap.Deps) -> None:
    """Make the report of a model, or find it made, and say what it says."""
    try:
        report = json.loads(deps.artifacts.get_file(keys.report(event.algorithm, event.model_version), REPORT))
    except NotFound:
        report = evaluate(event, rollout.live(deps.channels, keys.score_service(event.algorithm)), deps)
    if report["rmse"] is not None:
        telemetry.OFFLINE_RMSE.labels(event.algorithm).set(report["rmse"])
    deps.publisher.publish(
        ModelEvaluated(event.algorithm, event.model_version, report["accepted"], report["reason"], report["rmse"])
    )


def evaluate(event: ModelTrained, standing: str | None, deps: bootstrap.Deps) -> dict[str, Any]:
    """Measure the model on the newest ratings, which it has not seen, and store the report with the gate's word.

    `standing` is the version of the live model, if there is one. Not every trainer tells how long it took.
    """
    artifact = deps.artifacts.get(keys.model(event.algorithm, event.model_version))
    if artifact.manifest.made_from != keys.matrix(event.matrix_id):
        raise BadEvent(f"model {event.model_version} was not made from matrix {event.matrix_id}")
    split = Split.from_files(event.matrix_id, deps.artifacts.get(keys.matrix(event.matrix_id)).files)
    model = FactorModel.from_files(artifact.files)
    report = {
        **core.evaluate(model, split),
        "algorithm": event.algorithm,
        "model_version": event.model_version,
        "lake_version": artifact.manifest.lake_version,
        "matrix_id": event.matrix_id,
        "fit_seconds": artifact.manifest.metrics.get("fit_seconds"),
        "rank_ms": rank_ms(model),
        "model_bytes": sum(facts.size for facts in artifact.manifest.files.values()),
        "standing": standing_rmse(event, standing, split, deps),
    }
    accepted, reason = core.gate(report, report["standing"]["rmse"], deps.settings.rmse_margin)
    report |= {"accepted": accepted, "reason": reason}
    manifest = deps.manifest(
        kind="report",
        id=event.model_version,
        made_from=keys.model(event.algorithm, event.model_version),
        lake_version=artifact.manifest.lake_version,
        metrics={"rmse": report["rmse"], "accepted": accepted, "reason": reason},
    )
    deps.artifacts.put(keys.report(event.algorithm, event.model_version), {REPORT: dumps(report)}, manifest)
    deps.log.info("model_evaluated", model=event.model_version, accepted=accepted, reason=reason)
    return report


def rank_ms(model: FactorModel) -> float:
    """Return the milliseconds that ranking all movies for one user takes here, the mean over some users."""
    n_users = min(len(model.users), 200)
    started = time.perf_counter()
    for row in range(n_users):
        best(model.scores(row), core.K, without=NOTHING)
    return round((time.perf_counter() - started) * 1000 / max(n_users, 1), 3)


def standing_rmse(event: ModelTrained, version: str | None, split: Split, deps: bootstrap.Deps) -> dict[str, Any]:
    """Return the live model's error on the same ratings.

    They are newer than all it was fitted to, unless older ratings were backfilled since: then its error is too low, and
    the bar for its successor too high, until enough newer ratings are in.
    """
    if version is None:
        return {"model_version": None, "rmse": None}
    try:
        files = deps.artifacts.get(keys.model(event.algorithm, version)).files
        rmse = core.rmse_on(FactorModel.from_files(files), split.validation)
    except (Corrupt, NotFound) as error:
        deps.log.warning("standing_model_unreadable", model=version, reason=str(error))
        rmse = None
    return {"model_version": version, "rmse": rmse}


app = event_app(lambda: bootstrap.build("evaluate_offline"), {ModelTrained: handle})

main = target(app)

"""A bucket with a past: three models, each warmed from the one before, and lists that each of them answered with."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from functions.rollout import core
from shared import keys, rollout
from shared.bootstrap import Deps
from shared.decision import Decision
from shared.ports import Fold
from shared.provenance import Provenance
from shared.records import to_table
from shared.rollout import State
from shared.rows import Row
from tests import fakes

SERVICE = "score-svd"
HOUR = 3_600_000_000
RULES = core.Rules((5, 50), 1, 1, 10 * HOUR, 10**15)
START = 1_764_068_400_000_000  # 2025-11-25T11:00:00
COMMIT = "c" * 40


def row(kind: str, user: str, time: int, offset: int, **fields: Any) -> Row:
    topic = "marquee.recommendation.served" if kind == "served" else "movielog"
    return Row(kind, topic, 0, offset, time + 1_000_000, time=time, user_id=user, **fields)  # type: ignore[arg-type]


def listed(user: str, time: int, offset: int, model: str, movies: str = "abc") -> Row:
    version = model.partition("@")[2]
    told = {"request_id": f"r{offset}", "arm": "svd:stable", "model": model, "revision": f"score-svd-{version}"}
    return row("served", user, time, offset, movies=list(movies), latency_ms=4.0, rung="personal", **told)


def line(user: str, time: int, movies: str = "abc") -> str:
    stamp = datetime.fromtimestamp(time / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return f"{stamp},{user},recommendation request host, status 200, result: {', '.join(movies)}, 12 ms"


def bucket(folder: Path) -> Deps:
    """Return a bucket in which m1, m2 and m3 went live one after another, an hour each, by verdict or by order."""
    quiet = structlog.wrap_logger(structlog.ReturnLogger(), processors=[lambda *_: ""])
    now = datetime.fromtimestamp((START + 4 * HOUR) / 1e6, UTC)
    deps = dataclasses.replace(
        fakes.bucket(folder),
        now=lambda: now,
        environment={"GIT_COMMIT": COMMIT, "IMAGE_DIGEST": "sha256:1"},
        log=quiet,
    )
    before = ""
    for number in (1, 2, 3):
        at, version = START + (number - 1) * HOUR, f"m{number}"
        rows = [row("rating", "15", at, 10 * number, movie_id="a", rating=4.0)]
        rows += [row("watch", "15", at, 10 * number + 1, movie_id="a", minute=1)]
        deps.lake.fold(to_table(rows), Fold(2 * number - 1, []))
        store(deps, version, before, deps.lake.version(), number)
        live(deps, version, number, at)
        lists = [listed("15", at + HOUR // 2, 100 + number, f"svd@{version}"), listed("16", at, 200 + number, "svd@m1")]
        deps.lake.fold(to_table(lists), Fold(2 * number, []))
        report = {"evaluated_at": at + HOUR - 1, SERVICE: {"svd:stable": {"model_version": version, "hit_rate": 0.1}}}
        deps.objects.put(keys.online_report(number), json.dumps(report).encode())
        before = version
    return deps


def store(deps: Deps, version: str, before: str, lake_version: int, number: int) -> None:
    """Store a matrix of the lake, a model of it, and its report."""
    matrix = keys.matrix(f"x{number}")
    told = deps.manifest(kind="matrix", id=f"x{number}", lake_version=lake_version, offsets={"movielog-0": [0, number]})
    deps.artifacts.put(matrix, {"train.npz": b"train", "history.npz": b"history"}, told)
    made = {"made_from": matrix, "warmed_from": before or None, "lake_version": lake_version}
    told = deps.manifest(kind="model", id=version, parameters={"algorithm": "svd", "seed": 7}, **made)
    deps.artifacts.put(keys.model("svd", version), {"factors.npz": b"factors"}, told)
    report = json.dumps({"rmse": 0.9, "accepted": True, "reason": "it is better"}).encode()
    told = deps.manifest(kind="report", id=version, metrics={"accepted": True})
    deps.artifacts.put(keys.report("svd", version), {"report.json": report}, told)


def live(deps: Deps, version: str, number: int, at: int) -> None:
    """Let a model go live: the first by itself, the second by a decision, the third by a person's order."""

    def change(state: State) -> State:
        state = core.observe(core.accept(state, version, number, at), True, "", at + 1, RULES)
        if number == 2:
            key = keys.decision(SERVICE, version, 7)
            decision = Decision(
                service=SERVICE,
                model_version=version,
                revision=core.revision(SERVICE, version),
                against="m1",
                number=7,
                decided_at=at + 2,
                verdict="promote",
                is_safe=True,
                reason="no worse for sure",
                evidence={"verdict": {"effect": {"estimate": 0.01}}},
            )
            deps.objects.put(key, decision.model_dump_json().encode())
            return core.judge(state, decision, key, at + 2, RULES)
        return core.order(state, "promote", "ann", "the site asked for it", at + 2) if number == 3 else state

    rollout.update(deps.channels, SERVICE, change)


def provenance(deps: Deps, **changes: Any) -> Provenance:
    """Return who reads it."""
    return Provenance(deps.objects, deps.artifacts, deps.lake, deps.settings.retain_served_days, deps.now(), **changes)


def later(deps: Deps, days: int) -> Deps:
    """Return the same bucket so many days later."""
    return dataclasses.replace(deps, now=lambda: datetime.fromtimestamp(START / 1e6, UTC) + timedelta(days=days))

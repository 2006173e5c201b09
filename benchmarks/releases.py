"""Seconds from the log to a new model's first user, and to its verdict: a whole machine, and a crowd that uses it."""

import math
import time
from itertools import pairwise
from typing import Any, Final

from benchmarks.canaries import z_test
from benchmarks.machine import local
from benchmarks.process import part
from benchmarks.report import Result
from benchmarks.steps import Release, n_ended, releases
from cli.drill.acts import bad_answers
from cli.drill.stage import FIRST_RATINGS, N_USERS, SETTINGS, OneMachine, Stage, crowd
from cli.simulator.report import facts
from functions.build_matrix import core as building
from functions.build_matrix import gather
from functions.evaluate_offline import core as offline
from functions.train import timed
from functions.train.core import Order, parameters, ready
from shared import keys
from shared.adapters.yaml_file import read_yaml
from shared.errors import NotReady
from shared.model import FactorModel
from shared.settings import cores

RELEASES, NEW_RATINGS, VISITS_PER_SECOND, SEED = 2, 5_000, 60.0, 7
PATIENCE_SECONDS, BAR_SECONDS, POWER = 600, 60.0, 0.9
WHOLE: Final = {name.lower(): value for name, value in SETTINGS.items()} | {"min_new_ratings": str(NEW_RATINGS)}


def run() -> list[Result]:
    """Let models be trained on what a crowd does, and be tried on it, until two of them had their verdict."""
    with local(**WHOLE) as stack:
        ground = OneMachine(stack)
        stage = Stage(ground, crowd(SEED), VISITS_PER_SECOND, {"first": FIRST_RATINGS})
        with stage.crowds.playing():
            stage.archive("first")
            stage.wait(lambda: n_ended(stage) >= RELEASES, f"{RELEASES} verdicts", PATIENCE_SECONDS)
        if bad := bad_answers(stage):
            raise NotReady(f"{bad} requests got no list")
        found = releases(stage)[:RELEASES]
        slowest = max(found, key=lambda release: release.seconds("logged", "first user"))
        last = max(found, key=lambda release: release.seconds("logged", "decided"))
        work = alone(ground, stage, slowest)
        users, wait = one_look(stage, last)
    served, decided = slowest.seconds("logged", "first user"), last.seconds("logged", "decided")
    bare = sum(work.values())
    steps = {f"{release.model_version}, {release.outcome}": release.steps for release in found}
    return [
        Result(
            f"a model has its first user within {BAR_SECONDS:g} s of the log line that made its matrix due",
            served,
            bare,
            "s",
            bare / served,
            bare / BAR_SECONDS,  # the peer does the work and nothing else: it is there for scale, not to be beaten
            {"seconds of each step, by release": steps, "the same work in one idle process": work},
        ),
        Result(
            "and its verdict within twice the seconds of that work alone and of a test that looks once",
            decided,
            bare + wait,
            "s",
            (bare + wait) / decided,
            0.5,
            {
                "from the first user on": round(last.seconds("first user", "decided"), 1),
                f"the same for a z-test of {POWER:.0%} power": round(wait, 1),
                "users that it needs": users,
                "visits": facts(stage.crowds.played)["statuses"],
            },
        ),
    ]


def alone(ground: OneMachine, stage: Stage, release: Release) -> dict[str, float]:
    """Return the seconds of a release's work done again, step by step in one process, while nobody asks for anything.

    That is what a loop would need that keeps nothing safe between its steps, and has all code loaded but that of the
    server, which reads what users did since as it starts.
    """
    deps, version = stage.deps, release.model_version
    manifest = deps.artifacts.manifest(keys.model("svd", version))
    assert manifest.warmed_from
    base = FactorModel.from_files(deps.artifacts.get(keys.model("svd", manifest.warmed_from)).files)
    chosen = parameters(read_yaml(deps.settings.params_file))["svd"].warmed()
    fraction, lake_version = deps.settings.validation_fraction, manifest.lake_version
    ready()
    clock = [time.perf_counter()]
    ratings = gather.ratings(deps.lake.scan("rating", gather.COLUMNS, lake_version))
    watches = gather.watches(deps.lake.scan("watch", gather.WATCH_COLUMNS, lake_version))
    split, _ = building.files(ratings, fraction, watches)
    clock.append(time.perf_counter())
    model, _ = timed.fit(split.train, Order("svd", chosen, deps.settings.train_seed, cores()), base)
    clock.append(time.perf_counter())
    offline.evaluate(model, split)
    clock.append(time.perf_counter())
    name = ground.processes(stage.state.stable.revision)[0] if stage.state.stable else ""
    ground.stack.stop_part(name)
    with part(ground.stack, name, "/health/readiness", MODEL_VERSION=version).running() as starting:
        matrix, fit, measure = (round(after - before, 2) for before, after in pairwise(clock))
        return {"matrix": matrix, "fit": fit, "measure": measure, "start of score": round(starting, 2)}


def one_look(stage: Stage, release: Release) -> tuple[int, float]:
    """Return how many users a z-test needs to tell the margin with the same alpha, and the seconds until it has them.

    It looks once, when the window of its last user is over, however plain the matter is before. Of U users n have come
    at least once after -U ln(1 - n / U) visits.
    """
    settings = stage.deps.settings
    effect: dict[str, Any] = next(
        decision.evidence["verdict"]["effect"]
        for decision in reversed(stage.decisions())
        if decision.model_version == release.model_version
    )
    users = z_test(effect["stable"] - settings.verdict_margin, effect["stable"], POWER)
    visits = -N_USERS * math.log(1 - users / N_USERS)
    rate = facts(stage.crowds.played)["visits_per_second"]
    return users, visits / rate + 60 * settings.online_window_minutes

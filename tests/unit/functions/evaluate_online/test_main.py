import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from functions.evaluate_online.main import handle
from functions.evaluate_online.observe import Online
from functions.train import core as training
from shared import failpoints, keys, telemetry
from shared.bootstrap import Deps
from shared.decision import Decision
from shared.errors import Corrupt, NotReady
from shared.events import OnlineEvaluated, Tick
from shared.experiment import Change, Experiment, known, noted
from shared.ports import Fold
from shared.records import to_table
from shared.rows import Row
from shared.signing import Signer
from tests import entry, fakes
from tests.ratings import checkerboard, split_of
from tests.unit.functions.evaluate_online.rows import DAY, HOUR, MINUTE, NOW, START, Site

STABLE = {"model_version": "a", "revision": "svd-stable", "lake_version": 0}
CANARY = {"model_version": "b", "revision": "svd-canary", "lake_version": 1}
EVENT = "marquee.online.evaluated"


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def deps(tmp_path: Path) -> Deps:
    return fakes.deps(tmp_path, verdict_min_users="50", verdict_margin="0.3", canary_steps="50")


def rollout(deps: Deps, percent: int = 50, service: str = "score-svd", **fields: Any) -> None:
    """A service has a stable model and a canary since the start."""
    canary = {"release": CANARY, "phase": "serving", "periods": [{"since": START - HOUR, "percent": percent}]}
    state = {"stable": STABLE, "canary": canary, "routed_at": START - HOUR} | fields
    deps.channels.update(service, lambda _: state)


def site(hits: float = 0.3, canary_hits: float | None = None, n: int = 9_000, **facts: Any) -> Site:
    """Users in both arms who get one list each, of whom these shares watch a movie of it."""
    log, chance = Site(**facts), random.Random(3)
    for user in range(1, n + 1):
        canary = user % 2 == 1
        log.serve(user, f"a m{user % 50} m{user % 7}", user * 100, "svd:canary" if canary else "svd:stable")
        if chance.random() < (hits if canary_hits is None or not canary else canary_hits):
            log.watch(user, "a", 10 * MINUTE + user)
            log.rate(user, "a", 4.0, 20 * MINUTE)
    log.alive(3 * HOUR)
    return log


GOOD = site()
BAD = site(0.6, 0.05, n=600)


def fold(deps: Deps, rows: list[Row]) -> int:
    return deps.lake.fold(to_table(rows), Fold(deps.lake.last_fold().number + 1, ["k"]))


def decisions(deps: Deps) -> list[Decision]:
    return [Decision.from_bytes(deps.objects.get(key).data) for key in deps.objects.keys("decisions/")]


def events(deps: Deps) -> list[OnlineEvaluated]:
    return deps.publisher.events  # type: ignore[attr-defined, no-any-return]


def arms_of(deps: Deps) -> Any:
    """Return what the last report says of each arm of SVD."""
    return json.loads(deps.objects.get(deps.objects.keys("reports/online/")[-1]).data)["score-svd"]


@pytest.mark.parametrize(("log", "verdict"), [(GOOD, "promote"), (BAD, "roll_back"), (site(n=60), "hold")])
def test_a_canary_is_judged_by_what_its_users_did(deps: Deps, log: Site, verdict: str) -> None:
    """The decision is stored with its evidence, then told."""
    rollout(deps)
    fold(deps, log.rows)
    handle(Tick(), Online(deps))
    (decision,) = decisions(deps)
    assert (decision.verdict, decision.against, decision.number) == (verdict, "a", 1)
    assert events(deps) == [OnlineEvaluated("score-svd", "b", 1, verdict)]
    assert decision.evidence["arms"]["svd:canary"]["closed_users"] == len(
        [r for r in log.rows if r.arm == "svd:canary"]
    )
    assert decision.evidence["percent"] == 50


def test_a_version_is_evaluated_once(deps: Deps) -> None:
    """Ticks come every few seconds; the lake has news less often."""
    rollout(deps)
    fold(deps, BAD.rows)
    online = Online(deps)
    handle(Tick(), online)
    handle(Tick(), online)
    assert len(events(deps)) == 1
    fold(deps, [BAD.rows[0]])
    handle(Tick(), online)
    assert [event.number for event in events(deps)] == [1, 2]


def test_without_a_canary_users_are_looked_at_once_a_minute(deps: Deps) -> None:
    """Nothing is decided, so nobody needs a report of every version of the lake; a canary needs each."""
    rollout(deps, canary=None)
    found = []
    for second in (0, 30, 61):
        fold(deps, BAD.rows[second : second + 1])
        handle(Tick(), Online(replace(deps, now=lambda second=second: fakes.NOW + timedelta(seconds=second))))
        found.append(len(deps.objects.keys("reports/online/")))
    assert found == [1, 1, 2]
    rollout(deps)
    fold(deps, BAD.rows[:1])
    handle(Tick(), Online(replace(deps, now=lambda: fakes.NOW + timedelta(seconds=62))))
    assert [decision.number for decision in decisions(deps)] == [4]


def test_a_day_that_is_delivered_again_changes_no_number(deps: Deps) -> None:
    """The same offsets are the same records."""
    rollout(deps)
    fold(deps, BAD.rows)
    handle(Tick(), Online(deps))
    before = arms_of(deps)
    fold(deps, [replace(row, ingested_at=row.ingested_at + HOUR) for row in reversed(BAD.rows)])
    handle(Tick(), Online(deps))
    assert arms_of(deps) == before
    assert len(decisions(deps)) == 2


@pytest.mark.parametrize("ahead", [-HOUR, HOUR, 9 * HOUR])
def test_a_clock_that_is_wrong_by_hours_changes_no_number(deps: Deps, tmp_path: Path, ahead: int) -> None:
    """The site's own lines about lists tell by how much."""
    found = []
    for name, log in (("right", BAD), ("wrong", site(0.6, 0.05, n=600, ahead=ahead))):
        deps = fakes.deps(tmp_path / name)
        rollout(deps)
        fold(deps, log.rows)
        handle(Tick(), Online(deps))
        found.append(arms_of(deps))
    assert found[0] == found[1]


def test_watches_that_come_a_day_late_count_when_they_come(deps: Deps) -> None:
    """Until then windows stay open: their users are not taken for users who watched nothing."""
    rollout(deps)
    acted = ("watch", "rating")
    fold(deps, [row for row in GOOD.rows if row.kind not in acted])
    handle(Tick(), Online(deps))
    assert arms_of(deps)["svd:canary"]["closed_users"] == 0
    fold(deps, [replace(row, ingested_at=row.ingested_at + DAY) for row in GOOD.rows if row.kind in acted])
    handle(Tick(), Online(deps))
    assert arms_of(deps)["svd:canary"]["closed_users"] == 4500
    assert [decision.verdict for decision in decisions(deps)] == ["hold", "promote"]


@pytest.mark.parametrize(
    "lacks",
    [
        lambda row: row.kind == "watch",
        lambda row: row.kind == "request",
        lambda row: row.kind == "served",
        lambda row: row.kind != "rating",
        lambda row: row.arm == "svd:stable",
        lambda row: row.movie_id == "a",
    ],
    ids=["watches", "requests", "served", "all but ratings", "stable's users", "watches of listed movies"],
)
def test_whatever_is_missing_nothing_is_promoted(deps: Deps, lacks: Callable[[Row], bool]) -> None:
    """Absence of evidence holds the canary."""
    rollout(deps)
    fold(deps, [row for row in GOOD.rows if not lacks(row)])
    handle(Tick(), Online(deps))
    assert [decision.verdict for decision in decisions(deps)] == ["hold"]


def test_a_record_that_is_on_its_way_is_waited_for(deps: Deps) -> None:
    """Its delivery failed, and others passed it: what users did is not known yet, and no window closes on it."""
    rollout(deps)
    missing = next(row for row in GOOD.rows if row.kind == "watch")
    fold(deps, [row for row in GOOD.rows if row != missing])
    handle(Tick(), Online(deps))
    fold(deps, [missing])
    handle(Tick(), Online(deps))
    assert [each.verdict for each in sorted(decisions(deps), key=lambda each: each.number)] == ["hold", "promote"]


def test_without_models_nothing_is_said(deps: Deps) -> None:
    """Popular movies are no experiment."""
    fold(deps, BAD.rows)
    handle(Tick(), Online(deps))
    assert list(deps.objects.keys("")) == ["channels/evaluate_online.json"]
    assert events(deps) == []


@pytest.mark.parametrize("fields", [{"canary": None}, {"percent": 0}])
def test_without_a_canary_that_has_users_nothing_is_decided(deps: Deps, fields: dict[str, Any]) -> None:
    """What there is to say of the stable arm is said."""
    rollout(deps, **fields)
    fold(deps, BAD.rows)
    handle(Tick(), Online(deps))
    assert decisions(deps) == events(deps) == []
    assert list(arms_of(deps)) == ["svd:stable"]
    assert arms_of(deps)["svd:stable"]["closed_users"] == 300


@pytest.mark.parametrize("change", [{"is_paused": True}, {"phase": "held"}])
def test_a_canary_that_is_held_or_paused_is_judged_all_the_same(deps: Deps, change: dict[str, Any]) -> None:
    """Its users go on telling; whether anybody acts on it is the rollout's business."""
    rollout(deps)
    channel = deps.channels.get("score-svd")
    if "phase" in change:
        change = {"canary": channel["canary"] | change}
    deps.channels.update("score-svd", lambda before: dict(before) | change)
    fold(deps, BAD.rows)
    handle(Tick(), Online(deps))
    assert [event.verdict for event in events(deps)] == ["roll_back"]


@pytest.mark.parametrize("routed_at", [START + 1_000_000, None])
def test_lists_before_the_router_followed_do_not_count(deps: Deps, routed_at: int | None) -> None:
    """They were dealt otherwise; so were those of the first seconds after."""
    rollout(deps, routed_at=routed_at)
    fold(deps, BAD.rows)
    handle(Tick(), Online(deps))
    assert arms_of(deps)["svd:stable"]["lists"] == 0


def test_a_canary_is_judged_by_the_first_days_of_its_weights(tmp_path: Path) -> None:
    """What comes after adds nothing: bounds that hold at every look need evidence that only grows."""
    deps = fakes.deps(tmp_path, online_days=str(2 / 24))
    rollout(deps)
    log = site(n=600)
    log.serve(5001, "a", 2 * HOUR, "svd:canary")
    fold(deps, log.rows)
    handle(Tick(), Online(deps))
    assert arms_of(deps)["svd:canary"]["users"] == 300


def test_of_two_copies_the_first_decides_and_both_tell_of_it(deps: Deps) -> None:
    """A decision made twice at one version differs in its moment alone."""
    rollout(deps)
    fold(deps, BAD.rows)
    other = replace(deps, now=lambda: fakes.NOW.replace(minute=1))
    done = {}

    def meanwhile(name: str) -> None:
        if name == "evaluate_online.after_decision" and not done:
            done["it"] = True
            handle(Tick(), Online(other))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(failpoints, "reach", meanwhile)
        handle(Tick(), Online(deps))
    (decision,) = decisions(deps)
    assert decision.decided_at == NOW
    assert events(deps) == [OnlineEvaluated("score-svd", "b", 1, "roll_back")] * 2


@pytest.mark.parametrize("place", ["evaluate_online.after_decision", "evaluate_online.after_report"])
def test_dying_anywhere_loses_no_decision_and_makes_no_other(
    deps: Deps, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes next tells of the decision that stands."""
    rollout(deps)
    fold(deps, BAD.rows)

    def die(name: str) -> None:
        if name == place:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "reach", die)
        with pytest.raises(Killed):
            handle(Tick(), Online(deps))
    handle(Tick(), Online(replace(deps, now=lambda: fakes.NOW.replace(minute=1))))
    (decision,) = decisions(deps)
    assert decision.decided_at == NOW
    assert deps.channels.get(keys.EVALUATION_CHANNEL)["lake_version"] == 1


class Failing(fakes.MemoryStore):
    """A store whose nth call fails, before it is done or, if the answer is lost, after."""

    def __init__(self, objects: dict[str, bytes], nth: int, is_lost: bool) -> None:
        super().__init__()
        self.objects, self.left, self.is_lost, self.was_lost = objects, nth, is_lost, False

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in ("get", "put_new", "put_if", "keys"):
            return found

        def call(*arguments: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                self.was_lost = True
                if self.is_lost and name.startswith("put"):
                    found(*arguments)
                raise NotReady("lost")
            return found(*arguments)

        return call


def made_good(deps: Deps, is_lost: bool) -> Iterator[Deps]:
    """Fail each call of the store in turn, let the next tick make it good, and yield what stands then."""
    begun = dict(deps.objects.objects)  # type: ignore[attr-defined]
    for nth in range(1, 100):
        store = Failing(dict(begun), nth, is_lost)
        failing = replace(deps, objects=store)
        try:
            handle(Tick(), Online(failing))
        except NotReady:
            handle(Tick(), Online(replace(failing, now=lambda: fakes.NOW.replace(minute=1))))
        if not store.was_lost:
            break
        yield failing
    assert nth > 8


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_store_that_fails_at_any_call_is_made_good_by_the_next_tick(tmp_path: Path, is_lost: bool) -> None:
    """One decision, one report, the version noted, whichever call failed, and whether it was done or not."""
    deps = fakes.deps(tmp_path, verdict_min_users="50")
    rollout(deps)
    fold(deps, site(n=60).rows)
    for failing in made_good(deps, is_lost):
        assert len(decisions(failing)) == 1
        assert failing.channels.get(keys.EVALUATION_CHANNEL)["lake_version"] == 1


def test_a_silent_kafka_is_told_to_the_source_and_made_good(deps: Deps) -> None:
    """The decision stands; the next tick tells of it."""
    rollout(deps)
    fold(deps, BAD.rows)
    deps.publisher.down = True  # type: ignore[attr-defined]
    with pytest.raises(NotReady):
        handle(Tick(), Online(deps))
    deps.publisher.down = False  # type: ignore[attr-defined]
    handle(Tick(), Online(deps))
    assert len(decisions(deps)) == len(events(deps)) == 1


@pytest.mark.parametrize("channel", [{"stable": "x"}, {"stable": STABLE, "log": 3}])
def test_a_damaged_channel_is_told_and_no_bar_to_the_other_service(deps: Deps, channel: dict[str, Any]) -> None:
    """The other's canary is decided about, every time until the damage is repaired."""
    rollout(deps)
    deps.channels.update("score-svdpp", lambda _: channel)
    fold(deps, BAD.rows)
    with pytest.raises(Corrupt, match="score-svdpp"):
        handle(Tick(), Online(deps))
    assert [event.verdict for event in events(deps)] == ["roll_back"]
    deps.channels.update("score-svdpp", lambda _: {})
    handle(Tick(), Online(deps))
    assert len(decisions(deps)) == 1
    assert deps.channels.get(keys.EVALUATION_CHANNEL)["lake_version"] == 1


def test_a_note_that_nobody_can_read_is_written_anew(deps: Deps) -> None:
    """The version is evaluated again, and the decision that stands is told."""
    rollout(deps)
    fold(deps, BAD.rows)
    handle(Tick(), Online(deps))
    deps.objects.put(keys.channel(keys.EVALUATION_CHANNEL), b"\x00")
    handle(Tick(), Online(deps))
    assert len(decisions(deps)) == 1
    assert len(events(deps)) == 2
    assert deps.channels.get(keys.EVALUATION_CHANNEL)["lake_version"] == 1


@pytest.mark.parametrize("version", [2, 10**18])
def test_a_version_that_is_still_to_come_was_not_evaluated(deps: Deps, version: int) -> None:
    """Nobody waits until the lake gets there; it is told, and the note is written anew."""
    rollout(deps)
    fold(deps, BAD.rows)
    note = {"lake_version": version, "evaluated_at": fakes.NOW.isoformat()}
    deps.channels.update(keys.EVALUATION_CHANNEL, lambda _: note)
    with structlog.testing.capture_logs() as told:
        handle(Tick(), Online(deps))
    assert len(decisions(deps)) == len(events(deps)) == 1
    assert [each["service"] for each in told if each["event"] == "channel_unreadable"] == [keys.EVALUATION_CHANNEL]
    assert deps.channels.get(keys.EVALUATION_CHANNEL)["lake_version"] == 1


CANARY_JUDGED = {"release": CANARY, "phase": "serving", "periods": [{"since": START, "percent": 50}], "judged": 99}


@pytest.mark.parametrize(
    "fields", [{"lake_version": 99}, {"canary": CANARY_JUDGED}, {"routed_at": 2**62}, {"routed_at": NOW + 2 * DAY}]
)
def test_a_state_that_no_evidence_could_reach_is_told(deps: Deps, fields: dict[str, Any]) -> None:
    """Its lists would be those of a day, or its decisions those of a version, that does not come."""
    rollout(deps, **fields)
    rollout(deps, service="score-svdpp")
    fold(deps, BAD.rows)
    with structlog.testing.capture_logs() as told, pytest.raises(Corrupt, match="channel of score-svd "):
        handle(Tick(), Online(deps))
    assert [each["service"] for each in told if each["event"] == "channel_unreadable"] == ["score-svd"]
    assert {each.service for each in decisions(deps)} == {"score-svdpp"}


def test_a_decision_that_cannot_be_read_is_told_of_and_never_replaced(deps: Deps) -> None:
    """It is the evidence of what was done, and no bar to the next one."""
    rollout(deps)
    fold(deps, BAD.rows)
    deps.objects.put(keys.decision("score-svd", "b", 1), b"damaged")
    before = contested()
    handle(Tick(), Online(deps))
    assert (events(deps), contested()) == ([], before + 1)
    assert deps.objects.get(keys.decision("score-svd", "b", 1)).data == b"damaged"


def contested() -> float:
    return telemetry.DECISION_CONTESTED.labels("score-svd")._value.get()


def put(deps: Deps, decision: Decision, signer: Signer | None = None) -> None:
    """Store a decision in the place of its number."""
    key = keys.decision("score-svd", "b", decision.number)
    deps.objects.put(key, decision.to_bytes(signer))


def found(folder: Path, rows: list[Row], signer: Signer | None = None, **settings: str) -> tuple[Deps, Decision]:
    """Return what is decided from rows."""
    wanted = {"verdict_min_users": "50", "verdict_margin": "0.3", "canary_steps": "50"} | settings
    deps = replace(fakes.deps(folder, **wanted), signer=signer, judge=signer and signer.verifier)
    rollout(deps)
    fold(deps, rows)
    handle(Tick(), Online(deps))
    (decision,) = decisions(deps)
    return deps, decision


def evaluated_again(deps: Deps) -> int:
    """Let another copy evaluate the same version; return how often a decision was told."""
    deps.objects.delete([keys.channel(keys.EVALUATION_CHANNEL)])
    deps.publisher.events.clear()  # type: ignore[attr-defined]
    handle(Tick(), Online(replace(deps, now=lambda: fakes.NOW + timedelta(seconds=7))))
    return len(events(deps))


def test_a_decision_that_was_put_there_beforehand_is_told_of_and_announced_by_nobody(tmp_path: Path) -> None:
    """Who put it there decides nothing, at this version of the lake or any; from the next one it goes on."""
    deps, mine = found(tmp_path, site(n=60).rows)
    assert mine.verdict == "hold"
    number = fold(deps, BAD.rows[:1])
    forged = mine.model_copy(update={"verdict": "promote", "is_safe": True, "evidence": {}, "number": number})
    put(deps, forged)
    before = contested()
    with structlog.testing.capture_logs() as told:
        handle(Tick(), Online(deps))
    assert [each["key"] for each in told if each["event"] == "decision_contested"] == ["decisions/score-svd/b/2.json"]
    assert contested() == before + 1
    assert [each.number for each in events(deps)] == [1]
    fold(deps, BAD.rows[1:2])
    handle(Tick(), Online(deps))
    assert [each.number for each in events(deps)] == [1, 3]


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "promote"},
        {"is_safe": True},
        {"reason": "it is good"},
        {"revision": "svd-other"},
        {"against": "c"},
        {"evidence": {}},
    ],
)
def test_what_stands_is_announced_only_if_it_says_the_same(tmp_path: Path, change: dict[str, Any]) -> None:
    """Word for word, in its verdict and in its evidence; the moment alone may be another."""
    deps, mine = found(tmp_path, site(n=60).rows)
    put(deps, mine.model_copy(update={"decided_at": 7}))
    assert evaluated_again(deps) == 1
    put(deps, mine.model_copy(update=change))
    assert evaluated_again(deps) == 0


@pytest.mark.parametrize("seed", range(4))
def test_two_copies_that_read_the_lake_in_another_order_say_the_same(tmp_path: Path, seed: int) -> None:
    """Whichever is first is announced by both."""
    rows = list(BAD.rows)
    _, one = found(tmp_path / "one", rows)
    random.Random(seed).shuffle(rows)
    _, other = found(tmp_path / "other", rows)
    assert one.says_as(other)
    assert other.says_as(one)


def test_decisions_are_signed_and_what_nobody_signed_is_announced_by_nobody(tmp_path: Path) -> None:
    """Not even if it says the same."""
    signer = Signer.new()
    deps, mine = found(tmp_path, BAD.rows, signer)
    stored = deps.objects.get(keys.decision("score-svd", "b", 1)).data
    assert Decision.from_bytes(stored, signer.verifier) == mine
    assert evaluated_again(deps) == 1
    put(deps, mine)
    before = contested()
    assert evaluated_again(deps) == 0
    put(deps, mine, Signer.new())
    assert evaluated_again(deps) == 0
    assert contested() == before + 2


def test_weights_that_moved_since_are_no_reason_to_say_what_was_decided_before(tmp_path: Path) -> None:
    """Users are in other arms then."""
    deps, _ = found(tmp_path, BAD.rows)
    rollout(deps, percent=25)
    assert evaluated_again(deps) == 0


def test_both_algorithms_are_compared(deps: Deps) -> None:
    """Users of SVD++ watch twice as often, which is seen; without either model there is nothing to compare."""
    rollout(deps, canary=None)
    log = site(0.2, 0.8, n=600)
    named = {"svd:canary": "svdpp:stable"}
    fold(deps, [replace(row, arm=named.get(row.arm or "", row.arm)) for row in log.rows])
    handle(Tick(), Online(deps))
    report = json.loads(deps.objects.get(keys.online_report(1)).data)
    assert report["experiment"] is None
    rollout(deps, service="score-svdpp", canary=None)
    fold(deps, [log.rows[0]])
    handle(Tick(), Online(replace(deps, now=lambda: fakes.NOW + timedelta(minutes=1))))
    told = json.loads(deps.objects.get(keys.online_report(2)).data)["experiment"]
    assert (told["preferred"], told["of"], told["against"]) == ("svdpp:stable", "svdpp:stable", "svd:stable")
    assert told["estimate"] == pytest.approx(0.6, abs=0.1)


SVDPP_IS_BETTER = [
    replace(row, arm={"svd:canary": "svdpp:stable"}.get(row.arm or "", row.arm)) for row in site(0.2, 0.8, n=600).rows
]
WHO = "evaluate_online"


def allowed(deps: Deps, step: int = 10, percent: int = 50, since: int = START - HOUR, **fields: Any) -> Deps:
    """Both algorithms have a model, the weight stands since a moment, and steps are allowed."""
    for service in ("score-svd", "score-svdpp"):
        rollout(deps, service=service, canary=None, log=[], **fields)
    weigh(deps, percent, since)
    return replace(deps, settings=deps.settings.model_copy(update={"experiment_step": step}))


def weigh(deps: Deps, percent: int, at: int, who: str = "ann") -> None:
    change = Change(at=at, svd_percent=percent, who=who, why="w")
    deps.channels.revise(keys.EXPERIMENT_CHANNEL, Experiment, lambda before: noted(before, change))


def weights(deps: Deps) -> list[tuple[str, int]]:
    """Return who gave SVD which share of the users."""
    standing = known(deps.channels)
    return [(change.who, change.svd_percent) for change in standing.log] if standing else []


def compared_at(deps: Deps, version: int) -> Any:
    return json.loads(deps.objects.get(keys.online_report(version)).data)["experiment"]


def evaluate_anew(deps: Deps) -> None:
    """Evaluate the version again, as after a death before it was noted."""
    deps.objects.delete([keys.channel(keys.EVALUATION_CHANNEL)])  # type: ignore[attr-defined]
    handle(Tick(), Online(deps))


def test_users_are_shifted_to_the_algorithm_that_they_prefer(deps: Deps) -> None:
    """By one step, with the stored report as evidence; once, however often the version is evaluated."""
    deps = allowed(deps)
    fold(deps, SVDPP_IS_BETTER)
    handle(Tick(), Online(deps))
    assert weights(deps) == [("ann", 50), (WHO, 40)]
    standing = known(deps.channels)
    assert standing
    assert (standing.since, standing.log[-1].evidence) == (NOW, keys.online_report(1))
    assert "users prefer svdpp: SVD++ minus SVD is between +0." in standing.log[-1].why
    evaluate_anew(deps)
    evaluate_anew(replace(deps, now=lambda: fakes.NOW.replace(hour=13)))
    assert weights(deps) == [("ann", 50), (WHO, 40)]


def test_each_step_needs_new_evidence(deps: Deps) -> None:
    """What users did before the weight moved moves it no further."""
    deps = allowed(deps)
    fold(deps, SVDPP_IS_BETTER)
    handle(Tick(), Online(deps))
    fold(deps, [SVDPP_IS_BETTER[0]])
    in_a_minute = deps.now() + timedelta(minutes=1)
    handle(Tick(), Online(replace(deps, now=lambda: in_a_minute)))
    assert len(weights(deps)) == 2
    found = compared_at(deps, 2)
    assert (found["svd_percent"], found["since"], found["estimate"]) == (40, NOW + 6 * 1_000_000, None)


@pytest.mark.parametrize("fields", [{"step": 0}, {"is_paused": True}, {"percent": 10}, {"percent": 95}])
def test_the_weight_stays_where_no_step_is_allowed(deps: Deps, fields: dict[str, Any]) -> None:
    """Steps are not asked for, a service is paused, a limit is reached, or a person went beyond it."""
    deps = allowed(deps, **fields)
    fold(deps, SVDPP_IS_BETTER)
    handle(Tick(), Online(deps))
    assert compared_at(deps, 1)["preferred"] == "svdpp:stable"
    assert weights(deps) == [("ann", fields.get("percent", 50))]


@pytest.mark.parametrize("log", [site(n=600), site(n=30)], ids=["alike", "few"])
def test_without_a_preference_nobody_is_moved(deps: Deps, log: Site) -> None:
    """Equal algorithms, or too few users to tell."""
    deps = allowed(deps)
    fold(deps, [replace(row, arm="svdpp:stable" if row.arm == "svd:canary" else row.arm) for row in log.rows])
    handle(Tick(), Online(deps))
    assert compared_at(deps, 1)["preferred"] is None
    assert weights(deps) == [("ann", 50)]


def test_too_few_users_prefer_nothing(deps: Deps) -> None:
    """However clear it looks."""
    deps = allowed(replace(deps, settings=deps.settings.model_copy(update={"verdict_min_users": 301})))
    fold(deps, SVDPP_IS_BETTER)
    handle(Tick(), Online(deps))
    assert compared_at(deps, 1)["lower"] > 0
    assert compared_at(deps, 1)["preferred"] is None
    assert weights(deps) == [("ann", 50)]


def test_a_comparison_begins_when_the_weight_stands_still(deps: Deps) -> None:
    """Lists from before, and from the first seconds after, were dealt otherwise."""
    deps = allowed(deps, since=NOW - HOUR)
    fold(deps, SVDPP_IS_BETTER)
    handle(Tick(), Online(deps))
    assert compared_at(deps, 1)["n_canary"] == 0
    assert weights(deps) == [("ann", 50)]


@pytest.mark.parametrize("damage", [None, b"\x00", b'{"log": []}'])
def test_a_weight_that_nobody_noted_is_noted_before_it_is_judged(deps: Deps, damage: bytes | None) -> None:
    """It is the setting; since when is not known, so what was before tells nothing."""
    deps = allowed(deps)
    deps.objects.delete([keys.channel(keys.EXPERIMENT_CHANNEL)])  # type: ignore[attr-defined]
    if damage is not None:
        deps.objects.put(keys.channel(keys.EXPERIMENT_CHANNEL), damage)
    fold(deps, SVDPP_IS_BETTER)
    handle(Tick(), Online(deps))
    assert weights(deps) == [(WHO, 50)]


def test_a_weight_of_a_day_that_is_still_to_come_holds_and_is_noted_anew(deps: Deps) -> None:
    """Nobody is moved, and the next comparison begins now instead of then."""
    deps = allowed(deps, percent=30, since=NOW + 2 * DAY)
    fold(deps, SVDPP_IS_BETTER)
    with structlog.testing.capture_logs() as told:
        handle(Tick(), Online(deps))
    assert weights(deps) == [(WHO, 30)]
    assert [each["service"] for each in told if each["event"] == "channel_unreadable"] == [keys.EXPERIMENT_CHANNEL]


def test_without_steps_a_weight_that_nobody_noted_stays_a_setting(deps: Deps) -> None:
    """So that the setting can be changed, for as long as nobody orders otherwise."""
    deps = allowed(deps, step=0)
    deps.objects.delete([keys.channel(keys.EXPERIMENT_CHANNEL)])  # type: ignore[attr-defined]
    fold(deps, SVDPP_IS_BETTER)
    handle(Tick(), Online(deps))
    assert compared_at(deps, 1)["preferred"] == "svdpp:stable"
    assert weights(deps) == []


@pytest.mark.parametrize("place", ["evaluate_online.after_report", "put"])
def test_of_two_copies_that_race_one_shifts(deps: Deps, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Whether the other evaluates the version while the report is stored, or between reading and writing the weight."""
    deps = allowed(deps)
    fold(deps, SVDPP_IS_BETTER)
    others = [replace(deps, now=lambda: fakes.NOW.replace(minute=1))]

    def meanwhile() -> None:
        if others:
            handle(Tick(), Online(others.pop()))

    if place == "put":
        put_if = deps.objects.put_if

        def put(key: str, data: bytes, tag: str) -> None:
            meanwhile()
            put_if(key, data, tag)

        monkeypatch.setattr(deps.objects, "put_if", put)
    else:
        monkeypatch.setattr(failpoints, "reach", lambda name: meanwhile() if name == place else None)
    handle(Tick(), Online(deps))
    assert not others
    assert weights(deps) == [("ann", 50), (WHO, 40)]


def test_a_person_who_moves_the_weight_meanwhile_is_not_overruled(deps: Deps, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report is about the weight that stood before."""
    deps = allowed(deps)
    fold(deps, SVDPP_IS_BETTER)

    def meanwhile(name: str) -> None:
        if name == "evaluate_online.after_report":
            weigh(deps, 70, NOW, "eve")

    monkeypatch.setattr(failpoints, "reach", meanwhile)
    handle(Tick(), Online(deps))
    assert weights(deps) == [("ann", 50), ("eve", 70)]


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_step_is_made_once_whichever_call_of_the_store_fails(deps: Deps, is_lost: bool) -> None:
    """Before it is done, or after."""
    deps = allowed(deps)
    fold(deps, SVDPP_IS_BETTER)
    for failing in made_good(deps, is_lost):
        assert weights(failing) == [("ann", 50), (WHO, 40)]


def test_a_model_is_read_once_and_a_damaged_one_costs_only_its_own_number(deps: Deps) -> None:
    """Artifacts never change."""
    fitted = training.fit(split_of(checkerboard(6), 0.2).train, "svd", training.Parameters(4, 30, 0.02, 0.01), seed=1)
    deps.artifacts.put(keys.model("svd", "a"), fitted.to_files(), deps.manifest(kind="model", id="a"))
    rollout(deps)
    log = site(n=60)
    log.rate(2, "m1", 4.0, HOUR)
    fold(deps, log.rows)
    online = Online(deps)
    handle(Tick(), online)
    assert arms_of(deps)["svd:stable"]["predicted_ratings"] == 1
    assert arms_of(deps)["svd:canary"]["rmse"] is None
    assert online.model("svd", "a") is online.model("svd", "a")


def test_through_the_framework(deps: Deps, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick over HTTP evaluates; two that race are answered alike; an event of another kind is refused."""
    rollout(deps)
    fold(deps, site(n=60).rows)
    client = entry.client("evaluate_online", deps, monkeypatch)
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/ping", "ce-type": Tick.type}
    assert client.post("/", content=b"{}", headers=headers).status_code == 204
    assert client.post("/", content=b"{}", headers=headers | {"ce-type": EVENT}).status_code == 400
    assert len(events(deps)) == 1

import itertools
import threading

from infra.ci.run import Done, minutes, run
from infra.ci.stages import Stage

STAGES = [Stage("First", ("a",)), Stage("Both", ("b", "c")), Stage("Last", ("d",))]


def test_stages_follow_each_other_and_targets_of_one_run_together() -> None:
    """Two that wait for each other would never end one after the other."""
    meet = threading.Barrier(2, timeout=10)
    made = []

    def make(_: Stage, target: str) -> int:
        if target in "bc":
            meet.wait()
        made.append(target)
        return 0

    done = list(run(STAGES, make))
    assert [each.target for each in done] == ["a", "b", "c", "d"]
    assert (made[0], made[-1]) == ("a", "d")


def test_nothing_follows_a_stage_in_which_a_target_failed() -> None:
    """What ran beside it is waited for and told."""
    done = list(run(STAGES, lambda _, target: 2 if target == "b" else 0))
    assert [(each.target, each.status) for each in done] == [("a", 0), ("b", 2), ("c", 0)]


def test_minutes_are_those_of_each_target() -> None:
    """And in all those of the longest of each stage."""
    clock = itertools.count(0, 60)
    done = list(run(STAGES[:1], lambda *_: 0, lambda: next(clock)))
    done += [Done("Both", "b", 0, 120.0), Done("Both", "c", 2, 30.0)]
    lines = minutes(done, STAGES[2:]).splitlines()
    assert [line.split()[1:3] for line in lines[:3]] == [["a", "1.00"], ["b", "2.00"], ["c", "0.50"]]
    assert lines[2].endswith("failed")
    assert lines[3].split() == ["Last", "d", "not", "run"]
    assert lines[-1].split() == ["in", "all", "3.00", "min"]

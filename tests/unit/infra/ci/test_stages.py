"""One list of targets: the stages', the Jenkinsfile's, and the Makefile's."""

import re
from pathlib import Path

import pytest

from infra.ci.stages import STAGES, TARGETS, Stage, chosen
from infra.local.machine import ROOT
from shared.errors import BadInput

JENKINSFILE = (ROOT / "Jenkinsfile").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
UNIT = ROOT / "tests/unit"


def parts() -> dict[str, list[str]]:
    """Return what each of the five targets of unit tests runs, as the Makefile says it."""
    called = dict(re.findall(r"^(test-\w+): .*\n\t@\$\(call UNIT,\$\((\w+)\)\)$", MAKEFILE, re.MULTILINE))
    lists = dict(re.findall(r"^([A-Z]+) := (.*)$", MAKEFILE, re.MULTILINE))
    return {target: lists[name].split() for target, name in called.items()}


def test_jenkins_makes_the_same_targets_in_the_same_order() -> None:
    """As `make ci`; the age of the models is what it asks before."""
    shells = re.findall(r"""\bsh\b\W*?(?:script: )?(['"]+)(.*?)\1""", JENKINSFILE)
    assert [command for _, command in shells] == ["make --silent due", *(f"make {target}" for target in TARGETS)]


def test_stages_are_called_the_same_in_jenkins() -> None:
    """Whoever looks at one finds the other."""
    names = re.findall(r"stage\('(.*?)'\)", JENKINSFILE)
    assert [name for name in names if name in {stage.name for stage in STAGES}] == [stage.name for stage in STAGES]


def test_every_shell_is_in_single_quotes() -> None:
    """Groovy puts nothing into it: a secret that it did would be seen in lists of processes and in logs."""
    assert re.findall(r'\bsh\b[^\n]*"', JENKINSFILE) == []
    assert re.findall(r"\$\{(?!env\.|currentBuild\.)", JENKINSFILE) == []


@pytest.mark.parametrize("target", [*TARGETS, "due"])
def test_every_target_is_in_the_makefile(target: str) -> None:
    """What Jenkins does can be done on any machine."""
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)


def test_every_unit_test_is_run_by_exactly_one_part() -> None:
    """None twice, none never."""
    found = {
        path: [target for target, each in parts().items() if any(covers(UNIT / name, path) for name in each)]
        for path in UNIT.rglob("test_*.py")
    }
    assert {str(path.relative_to(UNIT)): targets for path, targets in found.items() if len(targets) != 1} == {}
    assert list(parts()) == list(next(stage for stage in STAGES if stage.name == "Unit tests").targets)


def covers(part: Path, file: Path) -> bool:
    return file == part or part in file.parents


def test_no_test_is_told_of_a_store() -> None:
    """Neither by `make ci` nor by Jenkins: it could write to what users live on."""
    assert not any(
        target.startswith(("test-", "integration")) for each in STAGES if each.has_store for target in each.targets
    )


def test_some_targets_can_be_chosen() -> None:
    """They keep their order and their stages; a word mistyped is no target."""
    assert chosen([]) == list(STAGES)
    assert chosen(["images", "test-lake", "lint"]) == [
        Stage("Lint", ("lint",)),
        Stage("Unit tests", ("test-lake",)),
        Stage("Images", ("images",)),
    ]
    with pytest.raises(BadInput, match="imagse"):
        chosen(["imagse"])

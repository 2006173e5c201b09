"""`make coverage` itself, on parts that are made up."""

import subprocess
import sys
from pathlib import Path

import pytest
from coverage import CoverageData

from infra.local.machine import ROOT

LINES = 20


def make(folder: Path, **parts: range) -> int:
    """Let each part have covered some lines of one file, and return the exit status of `make coverage`."""
    file = folder / "code.py"
    file.write_text("".join(f"a{line} = {line}\n" for line in range(LINES)))
    (folder / "build/coverage").mkdir(parents=True)
    for name, lines in parts.items():
        data = CoverageData(basename=str(folder / f"build/coverage/.coverage.{name}"))
        data.add_lines({str(file): [line + 1 for line in lines]})
        data.write()
    command = ["make", "--file", str(ROOT / "Makefile"), "--old-file", "nothing", "coverage"]
    variables = [f"BIN={Path(sys.executable).parent}", "INSTALLED=nothing"]
    return subprocess.run([*command, *variables], cwd=folder, capture_output=True).returncode


def test_parts_count_together(tmp_path: Path) -> None:
    """None covers enough by itself; the report is where Jenkins looks for it; they can be put together again."""
    assert make(tmp_path, events=range(10), lake=range(8, LINES)) == 0
    assert 'line-rate="1"' in (tmp_path / "build/coverage.xml").read_text()
    assert {path.name for path in (tmp_path / "build/coverage").iterdir()} >= {".coverage.events", ".coverage.lake"}


@pytest.mark.parametrize(("n_lines", "is_enough"), [(17, False), (18, True)])
def test_at_least_nine_of_ten_lines_are_covered(n_lines: int, is_enough: bool, tmp_path: Path) -> None:
    """Less is a failure."""
    assert (make(tmp_path, events=range(n_lines)) == 0) is is_enough


def test_no_part_is_a_failure(tmp_path: Path) -> None:
    """Nothing covers nothing."""
    assert make(tmp_path) != 0

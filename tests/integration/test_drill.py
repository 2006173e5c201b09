import subprocess
import sys
from pathlib import Path

import pytest

from cli.drill.acts import ACTS
from infra.local.machine import ROOT
from tests.integration.test_loop import PORT_OFFSET


@pytest.mark.long
def test_every_act_of_a_drill_goes_as_it_should(tmp_path: Path) -> None:
    """Exit 0, and a page with all acts, none of them wrong, and the picture."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(Path.home()),
        "MARQUEE_PORT_OFFSET": str(PORT_OFFSET),
        "TMPDIR": str(tmp_path),
        "COLUMNS": "200",
    }
    report = tmp_path / "drill.html"
    command = [sys.executable, "-m", "cli.main", "drill", "--report", str(report)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    page = report.read_text()
    assert [act.title for act in ACTS if act.title not in page] == []
    assert page.count('class="ok"') == len(ACTS)
    assert 'class="wrong"' not in page
    assert "<svg" in page
    assert list(tmp_path.iterdir()) == [report]

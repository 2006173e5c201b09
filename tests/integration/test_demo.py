import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from infra.local.machine import ROOT
from tests.integration.conftest import PORT_OFFSET


@pytest.mark.slow
def test_the_demo_ends_well_and_leaves_nothing(tmp_path: Path) -> None:
    """Log lines become two evaluated models and personal answers; exit 0, no process and no file stays."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(Path.home()),
        "MARQUEE_PORT_OFFSET": str(PORT_OFFSET + 2_500),
        "TMPDIR": str(tmp_path),
        "COLUMNS": "200",
    }
    command = [sys.executable, "-m", "cli.main", "demo", "--ratings", "12000"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("12,000", "personal", "status 200", "global mean", "svd@", "svdpp@", "not_a_log_line"):
        assert words in done.stdout
    assert "status 5" not in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert [process for process in psutil.process_iter() if str(tmp_path) in str(marks(process))] == []


def marks(process: psutil.Process) -> str:
    try:
        return process.environ().get("MARQUEE_STACK", "")
    except psutil.Error:
        return ""

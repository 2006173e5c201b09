import json
import subprocess
import sys
from pathlib import Path

from infra.cluster.front import config


def test_the_front_is_what_envoy_takes(tmp_path):
    """Envoy itself says so, and every path is sent on, for the host that it is given."""
    found = config("10.96.0.7", "recommend.marquee.marquee.test", 0)
    path = tmp_path / "front.json"
    path.write_text(json.dumps(found))
    envoy = Path(sys.executable).parent / "envoy"
    done = subprocess.run([envoy, "--mode", "validate", "-c", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '"host_rewrite_literal": "recommend.marquee.marquee.test"' in path.read_text()

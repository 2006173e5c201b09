import os
import stat
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from infra.cluster import certificates
from infra.cluster.machine import Cluster
from infra.cluster.shell import answers, ask, run, wait
from shared.errors import BadInput, NotReady


def test_a_failed_command_tells_what_it_said():
    """The command, its status and its own words, which are what a person needs."""
    with pytest.raises(NotReady, match=r"`sh -c echo why >&2; exit 3` ended with 3:\n    why"):
        run("sh", "-c", "echo why >&2; exit 3")


def test_a_missing_program_tells_how_to_get_it():
    """Everything is installed or built by one command."""
    with pytest.raises(BadInput, match=r"no-such-program is not here: python -m infra\.cluster build"):
        run("no-such-program")


def test_a_missing_folder_is_not_taken_for_a_missing_program(tmp_path):
    """Which is where it should be."""
    with pytest.raises(BadInput, match="nowhere, where sh should run, is no folder"):
        run("sh", "-c", "true", folder=tmp_path / "nowhere")


def test_waiting_ends_with_the_last_error_and_where_to_look():
    """A person reads why, and which log says more."""

    def attempt():
        raise NotReady("refused")

    with pytest.raises(NotReady, match=r"refused\nsee etcd\.log"):
        wait(attempt, 0, lambda: "see etcd.log")
    assert not answers(attempt)
    assert answers(lambda: None)


def test_only_an_answer_of_200_is_health():
    """A process that answers with an error, or not at all, is not ready."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/healthz" else 500)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        ask(f"{url}/healthz")
        with pytest.raises(NotReady, match="500"):
            ask(f"{url}/readyz")
        server.shutdown()
    with pytest.raises(NotReady, match="refused"):
        ask(f"{url}/healthz")


def test_certificates_are_of_one_authority_and_keys_are_secret(tmp_path):
    """Each is signed by it, a second start changes none, and nobody else reads a key."""
    cluster = Cluster(tmp_path, tmp_path)
    certificates.issue(cluster)
    first = {file.name: file.read_bytes() for file in cluster.pki.iterdir()}
    certificates.issue(cluster)
    assert {file.name: file.read_bytes() for file in cluster.pki.iterdir()} == first
    for name in ("apiserver", "admin", "node"):
        verified = ["openssl", "verify", "-CAfile", cluster.pki / "ca.crt", cluster.pki / f"{name}.crt"]
        assert subprocess.run(verified, capture_output=True).returncode == 0
        assert stat.S_IMODE(os.stat(cluster.pki / f"{name}.key").st_mode) == 0o600

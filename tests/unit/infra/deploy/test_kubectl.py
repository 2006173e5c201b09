import subprocess
from pathlib import Path
from unittest.mock import Mock

import pytest

from infra.deploy import kubectl
from infra.deploy.kubectl import Kubectl
from shared.errors import BadInput, NotReady


def failing(monkeypatch: pytest.MonkeyPatch, said: str) -> Kubectl:
    monkeypatch.setattr(kubectl.subprocess, "run", lambda *_, **__: Mock(returncode=1, stderr=said, stdout=""))
    return Kubectl("marquee")


@pytest.mark.parametrize(
    "said",
    [
        "The connection to the server 10.0.0.1:6443 was refused - did you specify the right host or port?",
        "Unable to connect to the server: dial tcp: lookup api.example.com: no such host",
        "Unable to connect to the server: net/http: TLS handshake timeout",
        "Error from server (ServiceUnavailable): the server is currently unable to handle the request",
        "Error from server (InternalError): failed calling webhook: connect: connection refused",
        "Error from server: etcdserver: request timed out",
    ],
)
def test_a_server_that_does_not_answer_may_later(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    """It is waited for."""
    with pytest.raises(NotReady):
        failing(monkeypatch, said).service("ingest")


@pytest.mark.parametrize(
    "said",
    [
        'Error from server (Forbidden): services.serving.knative.dev "ingest" is forbidden',
        'Error from server (BadRequest): admission webhook "validation.webhook.serving.knative.dev" denied the request',
        "error: You must be logged in to the server (Unauthorized)",
        'error: context "other" does not exist',
    ],
)
def test_what_a_server_refuses_it_refuses_again(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    """With its own words."""
    with pytest.raises(BadInput) as told:
        failing(monkeypatch, said).apply([])
    assert said in str(told.value)


def test_an_overlay_is_never_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is rendered here."""
    with pytest.raises(BadInput):
        failing(monkeypatch, "error: accumulating resources: timed out").render(Path("overlay"))


def test_a_server_that_is_silent_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """After two minutes; and kubectl has to be there."""
    silent = Mock(side_effect=subprocess.TimeoutExpired("kubectl", 120))
    monkeypatch.setattr(kubectl.subprocess, "run", silent)
    with pytest.raises(NotReady, match="two minutes"):
        Kubectl("marquee").service("ingest")
    monkeypatch.setattr(kubectl.subprocess, "run", Mock(side_effect=FileNotFoundError))
    with pytest.raises(BadInput, match="not installed"):
        Kubectl("marquee").service("ingest")

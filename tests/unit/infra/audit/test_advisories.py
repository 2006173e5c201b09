"""Real pip-audit, asked about small lists, with answers that a service on this machine gives as OSV does."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from infra.audit import __main__ as audit
from infra.audit import advisories, licences
from infra.audit.advisories import Answer, Hole, ask
from infra.local.machine import ROOT
from shared.errors import BadInput, NotReady

HOLE = {"id": "PYSEC-1", "modified": "2026-11-01T00:00:00Z", "published": "2026-11-01T00:00:00Z", "details": "A hole."}
RANGE = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2"}]}


class Advisor(BaseHTTPRequestHandler):
    """Knows of one hole, in a library called `leaky`."""

    def do_POST(self) -> None:
        name = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
        affected = [{"package": {"name": name, "ecosystem": "PyPI"}, "ranges": [RANGE]}]
        body = json.dumps({"vulns": [{**HOLE, "affected": affected}]} if name == "leaky" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Advisor) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()
        thread.join()


@pytest.fixture
def listed(tmp_path: Path) -> str:
    path = tmp_path / "requirements.txt"
    path.write_text("".join(f"{name}==1.0 --hash=sha256:{'0' * 64}\n" for name in ("leaky", "tight")))
    return str(path)


def test_a_hole_is_named_with_what_mends_it(url: str, listed: str) -> None:
    """Of two libraries the one that has it."""
    answer = ask([listed], [], url)
    assert answer == Answer(frozenset({Hole("leaky 1.0", "PYSEC-1", ("1.2",))}), 2, ())
    assert [str(each) for each in answer.holes] == ["leaky 1.0: PYSEC-1, mended in 1.2"]


def test_a_hole_that_was_accepted_is_none(url: str, listed: str) -> None:
    """It is left out by its name."""
    assert ask([listed], ["PYSEC-1"], url).holes == frozenset()


def test_silence_is_not_taken_for_safety(listed: str) -> None:
    """Who does not answer did not say that there is no hole; nor does an index that knows of no advisories."""
    with pytest.raises(NotReady, match="refused"):
        ask([listed], [], "http://127.0.0.1:9/")
    said = {
        "dependencies": [{"name": "a", "skip_reason": "a was not found"}, {"name": "b", "version": "1", "vulns": []}]
    }
    assert advisories.read(json.dumps(said)) == Answer(frozenset(), 2, ("a was not found",))


def run(monkeypatch: pytest.MonkeyPatch, answer: Answer | NotReady, *options: str) -> tuple[int, str]:
    """Run the command with this answer about every list, in an environment with one licence."""

    def told(*_: object) -> Answer:
        if isinstance(answer, NotReady):
            raise answer
        return answer

    monkeypatch.setattr(advisories, "ask", told)
    monkeypatch.setattr(licences, "installed", lambda *_: [licences.Licensed("a", "1", "MIT")])
    monkeypatch.setattr(audit.tools, "installed", lambda: Path("/nowhere"))
    done = CliRunner().invoke(audit.app, [*options], env={"ADVISORIES_REQUIRED": None, "ADVISORIES_URL": None})
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("answer", "status", "if_required", "said"),
    [
        (Answer(frozenset(), 2, ()), 0, 0, "0 known holes in the 6 libraries"),
        (Answer(frozenset({Hole("a 1", "X", ())}), 2, ()), 1, 1, "a 1: X, mended in no version"),
        (Answer(frozenset(), 2, ("no answer",)), 0, 1, "1 of 2 libraries, the first: no answer"),
        (NotReady("no way"), 0, 1, "NOT KNOWN whether there are holes in requirements.txt: no way"),
    ],
)
def test_no_answer_fails_only_where_one_is_required(
    answer: Answer | NotReady,
    status: int,
    if_required: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """It is said each time; a hole always fails."""
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, answer)[0] == status
    done, output = run(monkeypatch, answer, "--required")
    assert (done, said in output) == (if_required, True)


def test_a_hole_is_told_though_others_could_not_be_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One list that nobody answers about does not hide what is known of another."""
    monkeypatch.chdir(tmp_path)
    answers = iter([Answer(frozenset({Hole("a 1", "X", ())}), 1, ()), NotReady("no way"), NotReady("no way")])

    def told(*_: object) -> Answer:
        answer = next(answers)
        if isinstance(answer, NotReady):
            raise answer
        return answer

    monkeypatch.setattr(licences, "installed", lambda *_: [])
    monkeypatch.setattr(audit.tools, "installed", lambda: Path("/nowhere"))
    monkeypatch.setattr(advisories, "ask", told)
    assert CliRunner().invoke(audit.app, []).exit_code == 1


def test_every_lock_is_asked_about() -> None:
    """Each list of pinned libraries that the repository holds."""
    found = {str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.txt"), *ROOT.glob("infra/**/requirements*/*.txt"))}
    found |= {str(path.relative_to(ROOT)) for path in ROOT.glob("infra/**/requirements.txt")}
    assert sorted(path for lists in advisories.LISTS for path in lists) == sorted(found)


def test_jenkins_wants_an_answer() -> None:
    """There it is a failure if nobody could be asked."""
    said = yaml.safe_load((ROOT / "infra/jenkins/jenkins.yaml").read_text())
    (properties,) = said["jenkins"]["globalNodeProperties"]
    assert {"key": "ADVISORIES_REQUIRED", "value": "true"} in properties["envVars"]["env"]


@pytest.mark.parametrize(
    "text",
    ["", "[tool.marquee.audit]\nlicences = 5", "[tool.marquee.audit]\nlicence = []", "[tool", "[tool]\nmarquee = 1"],
)
def test_an_agreement_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    """With the file and what is wrong; nothing is then taken for agreed."""
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(BadInput, match=r"pyproject\.toml"):
        audit.agreed(tmp_path / "pyproject.toml")

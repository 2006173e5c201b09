import io
import json
import re
import subprocess

import numpy as np
import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.reproduce import again, code
from cli.reproduce.compare import differences
from functions.train import core, timed
from infra.local.machine import ROOT
from shared import bootstrap, keys
from shared.artifacts import libraries
from shared.errors import BadInput
from tests import fakes
from tests.ratings import checkerboard, split_of

HEAD = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
SPLIT = split_of(checkerboard(6), 0.2)


def npz(**arrays) -> bytes:
    sink = io.BytesIO()
    np.savez(sink, **arrays)
    return sink.getvalue()


def test_equal_bytes_are_equal():
    """And nothing else is."""
    assert differences({"a": b"1"}, {"a": b"1"}) == {"a": []}
    assert differences({"a": b"12"}, {"a": b"13"}) == {
        "a": ["2 bytes are stored, 2 were made; the first that differs is number 1"]
    }
    assert differences({"a": b""}, {"b": b""}) == {
        "a": ["it is stored, and was not made"],
        "b": ["it was made, and is not stored"],
    }


def test_what_differs_in_a_model_is_named_by_array():
    """By how many numbers, and by how much."""
    stored = npz(x=np.array([1.0, 2.0]), y=np.array([1]), z=np.array([1]))
    made = npz(x=np.array([1.0, 2.5]), y=np.array([1.0]))
    (said,) = differences({"f.npz": stored}, {"f.npz": made}).values()
    assert said == [
        "x differs in 1 of 2 values, by 0.5 at most",
        "y is int64[1] in the one and float64[1] in the other",
        "z is in one of them only",
    ]


@pytest.fixture
def deps(tmp_path, monkeypatch):
    deps = fakes.deps(tmp_path)
    monkeypatch.setattr(bootstrap, "build", lambda *_, **__: deps)
    return deps


def store(deps, commit=HEAD, version="v1", **changes):
    """Store a model of the checkerboard with its story."""
    order = core.Order("svd", core.Parameters(4, 5, 0.02, 0.01), 1, 1)
    model, _ = timed.fit(SPLIT.train, order)
    matrix = deps.manifest(kind="matrix", id=SPLIT.matrix_id, lake_version=3, parameters={"validation_fraction": 0.2})
    deps.artifacts.put(keys.matrix(SPLIT.matrix_id), SPLIT.to_files(), matrix)
    told = deps.manifest(
        kind="model", id=version, made_from=keys.matrix(SPLIT.matrix_id), parameters={**order.as_dict(), **changes}
    )
    told = told.model_copy(update={"git_commit": commit, "processor": timed.processor()})
    deps.artifacts.put(keys.model("svd", version), model.to_files(), told)


def run(*arguments):
    done = CliRunner().invoke(app, ["reproduce", *arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture
def here(monkeypatch):
    """Make models by the code that is here, in this process; tests/integration/test_trace.py does it as it is done."""
    monkeypatch.setattr("cli.reproduce.run._run", lambda folder, *_: again.main(folder))


def test_a_model_is_what_its_manifest_says_made_it(deps, here):
    """Byte by byte; and another seed makes another model, which is named."""
    store(deps)
    done = run("svd@v1", "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["model"], told["matrix"], told["equal"]) == (0, {"factors.npz": []}, None, True)
    assert any("the lake no longer has" in note for note in told["notes"])
    store(deps, version="v2", commit=f"{HEAD}-dirty", seed=2)
    done = run("svd@v2")
    assert done.exit_code == 1
    (row,) = (line for line in done.output.splitlines() if "factors.npz" in line)
    assert re.search(r"differs in .*; and \d+ more, all with --json", row)
    assert len(json.loads(run("svd@v2", "--json").stdout)["model"]["factors.npz"]) > 2
    assert done.output.splitlines()[-1] == "Not the same."
    assert "differed from its commit" in done.output


@pytest.mark.parametrize(
    ("commit", "why"),
    [
        ("unknown", "does not say which commit"),
        ("0" * 40, "is not in"),
        ("--upload-pack=x", "which is no commit"),
        ("main", "which is no commit"),
    ],
)
def test_code_that_is_not_here_is_said_to_be(commit, why, deps):
    """Nothing is guessed, and nothing of a manifest is a word to git."""
    store(deps, commit)
    with pytest.raises(BadInput, match=why):
        run("svd@v1")


@pytest.mark.parametrize("name", ["v1", "svd", "svd@", "knn@v1", "svd@../x"])
def test_a_model_is_named_as_answers_name_it(name, deps):
    """And in no other way."""
    with pytest.raises(BadInput, match="is no model"):
        run(name)


def test_a_model_that_is_not_there_or_damaged_is_refused(deps):
    """Before anything is made."""
    with pytest.raises(BadInput, match="not in the bucket"):
        run("svd@v1")
    store(deps)
    deps.objects.put("models/svd/v1/factors.npz", b"other")
    with pytest.raises(BadInput, match="not the bytes"):
        run("svd@v1")


def test_other_libraries_are_named(deps):
    """They may be why numbers end otherwise."""
    from cli.reproduce.run import _notes

    model = deps.manifest(kind="model", id="v1").model_copy(
        update={"libraries": {**libraries(), "numpy": "1.0"}, "erased": 1}
    )
    notes = list(_notes(model, model, dirty=False, can_read=True))
    assert len(notes) == 2
    assert notes[1].startswith("numpy was 1.0 then")


def test_a_checkout_is_gone_in_the_end(tmp_path):
    """Also if what is done with it fails."""
    folders = []

    def fail():
        with code.checkout(HEAD, ROOT) as folder:
            folders.append(folder)
            assert (folder / "functions/train/core.py").exists()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not folders[0].exists()
    with pytest.raises(BadInput, match="cannot be checked out"):
        code.checkout(HEAD, tmp_path).__enter__()


def test_a_commit_may_have_been_changed():
    """Then what differed is not known."""
    assert code.commit(HEAD, ROOT) == (HEAD, False)
    assert code.commit(f"{HEAD}-dirty", ROOT) == (HEAD, True)

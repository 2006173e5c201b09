import json
import re
import subprocess
import sys

import pytest

from infra.images.commands import DOCKERFILE
from infra.images.kernels import PROCESSOR
from infra.images.targets import EXTRAS, PLAIN, TARGETS
from infra.local.machine import ROOT
from tests.unit.infra.images.dockerfile import Stage, copied, ignored, is_sent, stages

TEXT = (ROOT / DOCKERFILE).read_text()
STAGES = stages(TEXT)
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/main.py"))

each = pytest.mark.parametrize("target", TARGETS)


def folder(target: str) -> str:
    return target.replace("-", "_")


def lineage(stage: Stage) -> list[str]:
    return [stage.base, *(lineage(STAGES[stage.base]) if stage.base in STAGES else [])]


def test_every_function_has_a_target():
    """And only the event source is no function."""
    assert sorted(folder(name) for name in TARGETS) == sorted([*FUNCTIONS, "event_source"])
    assert set(TARGETS) < set(STAGES)


def test_the_stages_of_the_table_stand_in_its_order():
    """buildah builds every stage above the one asked for: the small ones stand first."""
    assert [name for name in STAGES if name in TARGETS] == list(TARGETS)


@each
def test_an_image_holds_the_libraries_of_its_extra(target):
    """By the table, and nothing that builds need."""
    sources = {
        re.match(r"--from=(\S+) (\S+)", copied).groups() for copied in STAGES[target].of("COPY") if "--from" in copied
    }
    assert (TARGETS[target], "/venv") in sources
    assert {stage for stage, _ in sources} <= {TARGETS[target], "code", "kernels"}
    assert lineage(STAGES[target])[0] == "runtime"


@pytest.mark.parametrize("extra", EXTRAS)
def test_libraries_come_from_a_locked_list_of_their_own(extra):
    """Each stage stands on one whose list is a part of its own."""
    stage = STAGES[extra]
    assert stage.of("COPY") == [f"infra/images/requirements/{extra}.txt /build/"]
    assert stage.of("RUN")[0].endswith(f"/build/libraries.sh {extra}")
    assert lineage(stage)[-2:] == ["tools", "${BASE_IMAGE}"]


@each
def test_an_image_runs_as_nobody_in_particular(target):
    """By a number, or Kubernetes cannot tell that it is not root."""
    assert STAGES["runtime"].of("USER") == ["65532:65532"]
    assert STAGES[target].of("USER") == []


@each
def test_the_function_is_the_first_process(target):
    """In exec form, without a shell that keeps SIGTERM for itself; it answers on the port that Knative expects."""
    given = STAGES[target].of("ENTRYPOINT") + STAGES[target].of("CMD")
    command = [part for argument in given for part in json.loads(argument)]
    assert command[0] in ("functions-framework", "python")
    assert command[-4:] == ["--host", "0.0.0.0", "--port", "8080"]
    source = f"functions/{folder(target)}/main.py"
    assert f"/app/{source}" in command or target == "event-source"


@each
def test_an_image_holds_the_code_of_no_other_function(target):
    """Its own folder and what all share."""
    copied = [argument.split()[-1] for argument in STAGES[target].of("COPY")]
    functions = {path for path in copied if path.startswith("/app/functions/") and path != "/app/functions/"}
    assert functions == ({f"/app/functions/{folder(target)}"} if target != "event-source" else set())


@each
def test_an_image_says_where_it_comes_from(target):
    """The labels of the Open Container Initiative, and the commit where the function finds it."""
    labels = STAGES[target].of("LABEL")[0]
    for name, argument in {
        "revision": "GIT_COMMIT",
        "created": "CREATED",
        "version": "VERSION",
        "source": "SOURCE",
    }.items():
        assert f'org.opencontainers.image.{name}="${{{argument}}}"' in labels
        assert argument in STAGES[target].of("ARG")
    assert STAGES[target].of("ENV")[-1] == "GIT_COMMIT=${GIT_COMMIT}"


@each
def test_a_new_commit_copies_nothing_anew(target):
    """What only the commit changes stands below all that fills layers."""
    names = [name for name, _ in STAGES[target].steps]
    assert "COPY" not in names[names.index("ARG") :]
    assert "GIT_COMMIT" not in str(STAGES["runtime"].steps + STAGES["code"].steps)


@each
def test_no_command_runs_where_an_image_grows(target):
    """It would leave names and addresses of the machine that builds: only files are copied."""
    stages = [STAGES[name] for name in (target, *lineage(STAGES[target])) if name in STAGES]
    assert [stage.of("RUN") for stage in stages] == [[], []]


def test_a_container_writes_to_tmp_alone():
    """Python compiles nothing beside its sources, and home is there."""
    told = STAGES["runtime"].of("ENV")[0]
    assert "PYTHONDONTWRITEBYTECODE=1" in told
    assert "HOME=/tmp" in told
    assert "PYTHONPATH=/app" in told


def test_no_secret_is_built_in():
    """No argument or variable is named like one, and nothing but code and lists of libraries is sent to a builder."""
    names = re.findall(r"(?m)^(?:ARG|ENV) (.*)$", TEXT)
    assert not re.search(r"(?i)secret|password|token|credential|access_key", " ".join(names))
    sent = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert sent[0] == "*"
    assert all(
        line.startswith(("!functions", "!shared", "!infra/", "!params.yaml", "**/__pycache__")) for line in sent[1:]
    )


@pytest.mark.parametrize("file", [DOCKERFILE, "infra/minio/Dockerfile"])
def test_what_is_copied_is_there_and_reaches_the_builder(file):
    """A list of what a builder is not sent names it, or one above it."""
    sources = copied(stages((ROOT / file).read_text()))
    assert sources
    assert [source for source in sources if not (ROOT / source).exists()] == []
    ignore = ignored(ROOT / file, ROOT).read_text()
    assert [source for source in sources if not is_sent(source, ignore)] == []
    assert not is_sent(".marquee/secret", ignore)


def test_kernels_are_made_of_what_they_import():
    """All that they import and no more: other code changes without compiling them anew."""
    code = (
        "import sys, functions.train.kernels as k;"
        "print(*(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] in ('functions', 'shared')))"
    )
    told = {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    imported = subprocess.run([sys.executable, "-c", code], env=told, check=True, capture_output=True, text=True).stdout
    needed = {path.removeprefix(f"{ROOT}/") for path in imported.split()}
    copied = {path for argument in STAGES["kernels"].of("COPY") for path in argument.split()[:-1]}
    assert copied == needed


def test_kernels_are_looked_for_where_they_were_put():
    """With the same processor, in the same folder."""
    made, found = STAGES["kernels"].of("ENV")[0].split(), STAGES["train"].of("ENV")[0].split()
    assert {each for each in made if each.startswith("NUMBA")} < set(found)
    assert {"NUMBA_CACHE_DIR=/kernels", f"NUMBA_CPU_NAME={PROCESSOR}"} < set(made)
    assert "--from=kernels /kernels /kernels" in STAGES["train"].of("COPY")


def test_the_table_knows_every_list():
    """One for each extra, and one for the builds' own tools."""
    there = {path.stem for path in (ROOT / "infra/images/requirements").glob("*.txt")}
    assert there == {*EXTRAS, "tools"}
    assert PLAIN in EXTRAS

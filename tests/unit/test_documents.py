import re
from pathlib import Path

import pytest
import yaml

from infra.local.machine import ROOT, SOURCES, TOPICS
from shared.events import PIPELINE
from shared.settings import Settings

README = (ROOT / "README.md").read_text()
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "CONTRIBUTING.md",
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("infra/*/README.md"),
]


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_setting_is_in_the_readme_and_none_that_is_not() -> None:
    """The table of settings is complete, and true."""
    first_cells = [line.split("|")[1] for line in section("Settings").splitlines() if line.startswith("| `")]
    named = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
    assert named == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("event", PIPELINE)
def test_every_event_has_a_topic_and_a_row_in_the_readme(event: type) -> None:
    """What functions tell each other can be read about, and has somewhere to go."""
    assert f"`{event.type}`" in section("How it works")  # type: ignore[attr-defined]
    assert event.type in TOPICS  # type: ignore[attr-defined]


def test_every_function_is_in_the_readme() -> None:
    """A folder in functions/ is a row of the table."""
    names = {path.parent.name for path in ROOT.glob("functions/*/main.py")}
    assert names == set(re.findall(r"^\| `(\w+)`", section("How it works"), re.MULTILINE))


def test_every_source_reads_a_topic_that_exists() -> None:
    """Sources are where the stream enters: a misspelt topic would be silence."""
    sources = list(yaml.safe_load_all(SOURCES.read_text()))
    read = {topic for each in sources if each["kind"] == "KafkaSource" for topic in each["spec"]["topics"]}
    assert read <= set(TOPICS)
    assert {event.type for event in PIPELINE} - read == {
        "marquee.rollout.changed"
    }  # it is for people and machines outside


def test_every_source_has_a_name_of_its_own() -> None:
    """Of two of one kind and name a cluster keeps the last, and one machine sends everything twice."""
    sources = list(yaml.safe_load_all(SOURCES.read_text()))
    names = [(each["kind"], each["metadata"]["name"]) for each in sources]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_paths_in_documents_exist(document: Path) -> None:
    """What a document points to is there."""
    text = document.read_text()
    linked = [document.parent / name for name in re.findall(r"\]\((?!http)([^)#]+)\)", text)]
    quoted = re.findall(r"`((?:functions|shared|infra|cli|docs|knative|tests|benchmarks|data)/[\w./-]+)`", text)
    missing = [str(path) for path in [*linked, *(ROOT / name for name in quoted)] if not path.exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_make_verb_in_a_document_exists(document: Path) -> None:
    """A reader can run what is written."""
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = set(re.findall(r"(?:^    |`)make ([a-z-]+)", document.read_text(), re.MULTILINE))
    assert told <= verbs

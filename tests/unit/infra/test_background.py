import sys
import time
from pathlib import Path

import pytest

from infra.background import Background

SAYS = "import os, time; print('hello', os.environ['NAME'], flush=True); time.sleep(60)"


@pytest.fixture
def program(tmp_path: Path) -> Background:
    return Background(tmp_path, "program")


def test_a_process_is_found_again_and_stopped(program: Background) -> None:
    """By whoever knows its folder and name; its words are kept."""
    program.start([sys.executable, "-c", SAYS], {"NAME": "you"})
    found = Background(program.folder, "program").process
    assert found
    deadline = time.monotonic() + 20
    while "hello you" not in program.last_words and time.monotonic() < deadline:
        time.sleep(0.02)
    assert "hello you" in program.last_words
    program.stop()
    assert program.process is None
    program.stop()


def test_another_process_with_its_id_is_left_alone(program: Background) -> None:
    """Ids come again; the moment of a start does not."""
    program.start([sys.executable, "-c", SAYS], {"NAME": "you"})
    noted = program.folder / "program.pid"
    text = noted.read_text()
    noted.write_text(text.split()[0] + " 1.0")
    assert program.process is None
    noted.write_text(text)
    program.stop()

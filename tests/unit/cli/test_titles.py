"""Titles as a person stores them."""

import pytest

from cli.ratings import read_titles
from cli.stream_commands import store_titles
from shared import keys, titles
from shared.errors import BadInput
from tests.fakes import MemoryStore


def test_titles_of_a_file_are_the_catalogue(tmp_path):
    """With their years, as answers will have them."""
    path = tmp_path / "movies.csv"
    path.write_text("movie_id,title,year\n1,Toy Story,1995\n2,=HYPERLINK(evil),\n")
    store = MemoryStore()
    store_titles(store, read_titles(path))
    assert titles.decode(store.get(keys.TITLES).data) == {"1": "Toy Story (1995)", "2": "=HYPERLINK(evil)"}


def test_a_title_that_answers_cannot_have_is_refused(tmp_path):
    """It is said, and the catalogue before stays."""
    path = tmp_path / "movies.csv"
    path.write_text(f"movie_id,title\n1,{'x' * 600}\n")
    store = MemoryStore()
    with pytest.raises(BadInput, match="catalogue"):
        store_titles(store, read_titles(path))
    assert store.objects == {}

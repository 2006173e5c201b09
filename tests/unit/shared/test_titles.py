import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Corrupt
from shared.titles import decode, derived, encode, titles


@pytest.mark.parametrize(
    ("movie", "title"),
    [
        ("toy+story+1995", "Toy Story (1995)"),
        ("the+lord+of+the+rings+2001", "The Lord Of The Rings (2001)"),
        ("2001+a+space+odyssey+1968", "2001 A Space Odyssey (1968)"),
        ("1917+2019", "1917 (2019)"),
        ("amélie+2001", "Amélie (2001)"),
        ("x++y+1999", "X Y (1999)"),
        ("318", "318"),
        ("1984", "1984"),
        ("toy+story", "toy+story"),
        ("toy+story+3", "toy+story+3"),
        ("movie+9999", "movie+9999"),
        ("toy+story+1995+x", "toy+story+1995+x"),
    ],
)
def test_an_id_of_words_and_a_year_says_the_title(movie: str, title: str) -> None:
    """Any other id is its own title."""
    assert derived(movie) == title


@given(st.text(min_size=1))
def test_every_id_has_a_title(movie: str) -> None:
    """Whatever the site calls its movies, there is something to show."""
    assert derived(movie)


def test_the_catalogue_counts_before_the_id() -> None:
    """In the order asked for, and only what was asked for."""
    catalogue = {"toy+story+1995": "Toy Story", "b": "B"}
    assert list(titles(["x", "toy+story+1995"], catalogue).items()) == [("x", "x"), ("toy+story+1995", "Toy Story")]


def test_a_catalogue_comes_back_as_it_was_stored() -> None:
    """In any script."""
    catalogue = {"1": "Amélie", "2": "七人の侍"}
    assert decode(encode(catalogue)) == catalogue


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b'{"1": 2}', b'{"1": ""}', b'{"": "x"}', b"\xff"])
def test_what_is_no_catalogue_is_refused(data: bytes) -> None:
    """It is never used in part."""
    with pytest.raises(Corrupt, match="catalogue"):
        decode(data)


def test_what_could_not_be_read_is_not_written() -> None:
    """An empty title, or one that is a whole book."""
    for title in ("", "x" * 501):
        with pytest.raises(Corrupt):
            encode({"1": title})

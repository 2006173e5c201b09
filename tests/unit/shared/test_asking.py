import pytest
from yarl import URL

from shared import asking
from shared.errors import BadInput

ENVOY_BYTES = 60 * 1024


@pytest.mark.parametrize("letter", ["a", "{", "é", "日", "🎬"])
def test_what_may_be_excluded_fits_into_a_request_however_it_is_encoded(letter):
    """The longest list that is taken, of letters that cost one byte or twelve in a URL, leaves room for the rest."""
    size = asking.EXCLUDE_MOST_BYTES // asking.EXCLUDE_MOST - 1
    movie = "a" + letter * ((size - 3) // len(letter.encode()))
    listed = ",".join(f"{movie}{n:02}" for n in range(asking.EXCLUDE_MOST))
    movies = asking.excluded([listed])
    sent = URL("http://score/top/1").with_query({"exclude": ",".join(movies)})
    assert len(movies) == asking.EXCLUDE_MOST
    assert len(str(sent)) < ENVOY_BYTES - 8_000


def test_a_list_that_is_too_long_is_refused_with_its_length():
    """Fewer movies than are allowed can still be too many bytes."""
    with pytest.raises(BadInput, match="exclude is 23129 bytes long; at most 16000 are allowed"):
        asking.excluded([f"{'x' * 254}{n:02}" for n in range(90)])

import pytest

from shared import shares
from shared.errors import BadSettings
from shared.ports import Share


def test_shares_that_make_sense_are_taken() -> None:
    """One of all, and a canary without any."""
    shares.check("s", [Share("s-1", "stable", 100), Share("s-2", "canary", 0)])


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ([], "add up"),
        ([Share("s-1", "stable", 99)], "add up"),
        ([Share("s-1", "stable", 120), Share("s-2", "canary", -20)], "add up"),
        ([Share("s-1", "a", 50), Share("s-2", "a", 50)], "tags"),
        ([Share("s-1", "", 100)], "tags"),
        ([Share("s-1", "A", 100)], "tags"),
        ([Share("s-1", "a.b", 100)], "tags"),
        ([Share("s-1", "a" * 62, 100)], "tags"),
        ([Share("s-1", "a", 50), Share("s-1", "b", 50)], "twice"),
    ],
)
def test_shares_that_make_none_are_refused(wrong: list[Share], why: str) -> None:
    """With what is wrong."""
    with pytest.raises(BadSettings, match=why):
        shares.check("s", wrong)


@pytest.mark.parametrize("name", ["", "s", "s-", "t-1", "s-A", "s-1-", "s-1.2", "s-1\n", "s-" + "1" * 62])
def test_a_revision_is_called_after_its_service(name: str) -> None:
    """A DNS label that begins with it, as Knative demands."""
    shares.check_revision("s", "s-00001")
    with pytest.raises(BadSettings, match="no name of a revision"):
        shares.check_revision("s", name)

"""What a licence is, and whether it may be."""

import pytest

from infra.audit.__main__ import agreed
from infra.audit.licences import Licensed, installed, is_allowed, refused

ALLOWED = {"MIT", "BSD", "Zlib AND (MIT OR X)"}


@pytest.mark.parametrize(
    ("licence", "may_be"),
    [
        ("MIT", True),
        ("GPL", False),
        ("UNKNOWN", False),
        ("", False),
        ("MIT AND BSD", True),
        ("MIT AND GPL", False),
        ("GPL OR MIT", True),
        ("GPL OR MIT AND X", False),
        ("GPL AND X OR MIT AND BSD", True),
        ("GPL License; MIT", True),
        ("GPL License; X", False),
        ("MIT AND (BSD OR GPL)", False),
        ("(MIT OR GPL) AND GPL", False),
        ("Zlib AND (MIT OR X)", True),
    ],
)
def test_one_may_choose_and_all_that_hold_must_be_allowed(licence: str, may_be: bool) -> None:
    """`AND` binds closer than `OR`; with brackets an expression is allowed as a whole or not at all."""
    assert is_allowed(licence, ALLOWED) is may_be


def test_an_exception_is_of_a_library() -> None:
    """Not of its licence."""
    found = [Licensed("a", "1", "GPL"), Licensed("b", "1", "GPL"), Licensed("c", "1", "MIT")]
    assert refused(found, ALLOWED, {"a"}) == [found[1]]


def test_what_is_installed_was_agreed_to() -> None:
    """All that tests and commands run with, by real pip-licenses; and no exception is there for nothing."""
    agreement, found = agreed(), installed()
    assert {"numpy", "boto3", "pytest"} <= {each.library for each in found}
    assert refused(found, agreement.licences, agreement.under_others) == []
    needless = set(agreement.under_others) - {"pygit2"} - {each.library for each in found}
    assert needless == set()

"""What a licence is, and whether it may be."""

import pytest

from infra.audit.__main__ import agreed
from infra.audit.licences import Licensed, installed, is_allowed, refusal, refused

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
        ("BSD; MIT", True),
        ("GPL License; MIT", False),
        ("BSD; GPL OR MIT", True),
        ("MIT AND (BSD OR GPL)", False),
        ("(MIT OR GPL) AND GPL", False),
        ("Zlib AND (MIT OR X)", True),
    ],
)
def test_one_may_choose_and_all_that_hold_must_be_allowed(licence: str, may_be: bool) -> None:
    """`AND` binds closer than `OR`; with brackets an expression is allowed as a whole or not at all.

    Classifiers, between semicolons, do not say that one may choose.
    """
    assert is_allowed(licence, ALLOWED) is may_be


def test_an_exception_is_of_a_library_under_a_licence() -> None:
    """Not of every library under that licence, nor of the library should its next version be under another."""
    found = [
        Licensed("a", "1", "GPL"),
        Licensed("a", "2", "AGPL"),
        Licensed("b", "1", "GPL"),
        Licensed("c", "1", "MIT"),
    ]
    assert refused(found, ALLOWED, {"a": "GPL"}) == [found[1], found[2]]


def test_what_is_refused_is_told_with_what_to_do() -> None:
    """A library that names no licence is not just called unknown."""
    assert "a 1 is under GPL, which is not allowed" in refusal(Licensed("a", "1", "GPL"))
    for licence in ("UNKNOWN", ""):
        assert refused([Licensed("a", "1", licence)], ALLOWED, {"b": licence})
        assert "a 1 names no licence: read the one that it comes with" in refusal(Licensed("a", "1", licence))


@pytest.mark.parametrize("licence", ["GPL-3.0-only", "LGPL-3.0-or-later", "AGPL-3.0-only", "SSPL-1.0", "UNKNOWN"])
def test_no_licence_that_binds_a_service_or_its_images_is_allowed(licence: str) -> None:
    """Nor none at all."""
    assert not is_allowed(licence, agreed().licences)


def test_what_is_installed_was_agreed_to() -> None:
    """All that tests and commands run with, by real pip-licenses; and no exception is there for nothing."""
    agreement, found = agreed(), installed()
    assert {"numpy", "boto3", "pytest"} <= {each.library for each in found}
    accepted = {library: each.licence for library, each in agreement.under_others.items()}
    assert refused(found, agreement.licences, accepted) == []
    needless = set(agreement.under_others) - {"pygit2"} - {each.library for each in found}
    assert needless == set()

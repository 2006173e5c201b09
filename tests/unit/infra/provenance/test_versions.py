import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.train.engine import DEFAULTS, Order, Parameters
from infra.provenance.versions import Version, changed
from shared.artifacts import Manifest
from shared.errors import Corrupt

CHOSEN = Parameters(n_factors=128, n_epochs=20, lr=0.0336, reg=0.0827, lr_bias=0.011)


def model(parameters=CHOSEN, *, seed=0, n_threads=2, engine="marquee", warmed_from=None, revision=6, **facts):
    order = Order("svd", parameters, seed, n_threads, engine)
    facts = {"kind": "model", "id": "m", "created_at": "2026-11-25T10:00:00+00:00", **facts}
    return Manifest(**facts, parameters=order.as_dict(), warmed_from=warmed_from, revision=revision)


@pytest.mark.parametrize(
    ("now", "part"),
    [
        (model(id="n", lake_version=9, libraries={"numpy": "2.4.7"}), "patch"),
        (model(n_threads=64), "patch"),
        (model(CHOSEN.warmed(), warmed_from="m"), "patch"),
        (model(DEFAULTS["svd"].warmed(), warmed_from="m"), "minor"),
        (model(DEFAULTS["svd"]), "minor"),
        (model(seed=1), "minor"),
        (model(revision=7), "major"),
        (model(engine="surprise"), "major"),
        (model(DEFAULTS["svd"], revision=7), "major"),
    ],
)
def test_what_changed_decides_the_version(now, part):
    """Trainer: major; a choice: minor; data, libraries, threads, and where a fit with the same choice began: patch."""
    assert changed(model(), now) == part


def test_a_fit_that_starts_anew_with_the_same_choice_is_a_patch():
    """A warm fit makes a third of the passes by rule, which nobody chose."""
    assert changed(model(CHOSEN.warmed(), warmed_from="l"), model()) == "patch"
    assert changed(model(CHOSEN.warmed(), warmed_from="l"), model(CHOSEN.warmed(), warmed_from="m")) == "patch"


def test_a_manifest_without_parameters_is_refused():
    """What is no model's story gets no version."""
    odd = Manifest(kind="model", id="odd", created_at="2026-11-25T10:00:00+00:00", revision=6)
    with pytest.raises(Corrupt, match="odd"):
        changed(odd, odd)


@given(st.tuples(*[st.integers(0, 10**6)] * 3), st.sampled_from(["major", "minor", "patch"]))
def test_a_next_version_is_higher_and_reads_back(numbers, part):
    """Versions only grow, and a tag says exactly one."""
    version = Version(*numbers)
    assert version.after(part) > version
    assert Version.parse(str(version)) == version


@pytest.mark.parametrize("text", ["1.0.0", "v1.0", "v01.0.0", "v1.0.0-rc", "v1.0.0\n", "", "v\u0661.0.0"])
def test_other_tags_are_no_versions(text):
    """Whatever else stands in the repository is left alone."""
    assert Version.parse(text) is None

import pytest

from infra.images.targets import TARGETS, chosen, reference
from shared.errors import BadInput


def test_all_are_chosen_if_none_is_named():
    """In the order of building, in which named ones come too."""
    assert chosen([]) == list(TARGETS)
    assert chosen(["train", "score"]) == ["score", "train"]


def test_an_unknown_name_is_refused():
    """With the names that there are."""
    with pytest.raises(BadInput, match=r"fold_lake.*there are.*fold-lake"):
        chosen(["fold_lake"])


def test_a_node_looks_for_no_registry():
    """Knative resolves no tags of dev.local."""
    assert reference("score") == "dev.local/marquee/score:dev"

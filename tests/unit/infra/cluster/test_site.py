from copy import deepcopy
from typing import Any

from infra.cluster.site import told

DOCUMENTS: list[dict[str, Any]] = [
    {"kind": "ConfigMap", "metadata": {"name": "marquee-settings"}, "data": {"A": "1", "B": "2"}},
    {
        "kind": "Service",
        "metadata": {"name": "ingest"},
        "spec": {"template": {"metadata": {}, "spec": {"containers": [{"image": "dev.local/marquee/ingest:dev"}]}}},
    },
    {"kind": "Service", "metadata": {"name": "kafka"}, "spec": {"ports": []}},
]


def made_of(settings: dict[str, str], digests: dict[str, str]) -> str:
    before = deepcopy(DOCUMENTS)
    service = told(DOCUMENTS, settings, digests)[1]
    assert before == DOCUMENTS
    return str(service["spec"]["template"]["metadata"]["annotations"]["marquee.site/made-of"])


def test_settings_of_one_s_own_go_before() -> None:
    """Others stay as the overlay has them, and so does what runs nothing of ours."""
    settings, _, other = told(DOCUMENTS, {"B": "3"}, {})
    assert settings["data"] == {"A": "1", "B": "3"}
    assert other == DOCUMENTS[2]


def test_another_setting_or_another_image_is_another_pod() -> None:
    """And the same ones are the same."""
    first = made_of({}, {"ingest": "sha256:1", "train": "sha256:1"})
    assert made_of({"A": "1"}, {"ingest": "sha256:1", "train": "sha256:2"}) == first
    assert len({first, made_of({"A": "2"}, {"ingest": "sha256:1"}), made_of({}, {"ingest": "sha256:2"})}) == 3

"""One real cluster with all of Marquee on it, for all acts."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from cli.drill.stage import SETTINGS, Stage, crowd
from infra.accounts import ROOT as ADMINISTRATOR
from infra.cluster import knative
from infra.cluster.build import build
from infra.cluster.machine import Cluster
from infra.cluster.node import Node
from infra.cluster.site import IMAGES, Site
from infra.local.machine import Machine

PAST_RATINGS = 20_000
VISITS_PER_SECOND = 15.0


@dataclass
class OnCluster:
    """What a stage needs of a stack."""

    site: Site
    machine: Machine

    @property
    def environment(self) -> dict[str, str]:
        """The site's, with a key that may do anything: a stage plants models."""
        return self.site.environment | self.site.stores.accounts.key(ADMINISTRATOR).environment


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """Marquee on a cluster, without models; the cluster is removed at the end unless it was there before."""
    if os.geteuid() != 0 or shutil.which("go") is None:
        pytest.skip("a cluster needs root and Go")
    cluster = Cluster.from_env()
    node = Node(cluster)
    was_up = node.is_up
    build(cluster, print)
    site = Site(cluster)
    try:
        node.start(True, print)
        knative.install(cluster, print)
        settings = SETTINGS | {"MIN_NEW_RATINGS": str(PAST_RATINGS - 1), "CANARY_STEPS": "10"}
        site.start(IMAGES, settings, print)
        yield site
    finally:
        site.stop()
        if not was_up:
            node.stop(print)


@pytest.fixture(scope="session")
def stage(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The site with both models live and a crowd before it."""
    machine = Machine(tmp_path_factory.mktemp("stage"))
    stage = Stage(OnCluster(site, machine), crowd(seed=3), VISITS_PER_SECOND, {"first": PAST_RATINGS})  # type: ignore[arg-type]
    stage.archive("first")
    with stage.crowds.playing():
        stage.wait(stage.all_live, "two live models", 300)
        yield stage

"""One real cluster with all of Marquee on it, for all acts."""

import os
import shutil
from collections.abc import Iterator

import pytest

from cli.drill.cluster import CLUSTER_SETTINGS, on
from cli.drill.stage import Stage
from infra.cluster.machine import Cluster
from infra.cluster.site import Site, running


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """Marquee on a cluster, without models; the cluster is removed at the end unless it was there before."""
    if os.geteuid() != 0 or shutil.which("go") is None:
        pytest.skip("a cluster needs root and Go")
    with running(Cluster.from_env(), CLUSTER_SETTINGS, print) as site:
        yield site


@pytest.fixture(scope="session")
def stage(site: Site) -> Iterator[Stage]:
    """The site with both models live and a crowd before it."""
    with on(site) as stage:
        yield stage

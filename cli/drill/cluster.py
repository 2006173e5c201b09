"""A stage on a cluster: the same users, and the same plants, before Knative's own revisions."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from cli.drill.stage import SETTINGS, Stage, crowd
from infra.accounts import ADMINISTRATOR
from infra.cluster.site import Site

PAST_RATINGS: Final = 20_000
CLUSTER_SETTINGS: Final = SETTINGS | {
    "MIN_NEW_RATINGS": str(PAST_RATINGS - 1),
    "CANARY_STEPS": "10",
    "DEPLOY_SECONDS": "120",
}
"""What a site must be told whose models stay on trial until a person says something."""

_VISITS_PER_SECOND: Final = 5.0
_LIVE_SECONDS: Final = 300.0


@dataclass(frozen=True)
class OnCluster:
    """Marquee on a cluster."""

    site: Site

    @property
    def environment(self) -> dict[str, str]:
        """The site's, with a key that may do anything: a stage plants models."""
        return self.site.environment | self.site.stores.accounts.key(ADMINISTRATOR).environment

    @property
    def url(self) -> str:
        """Where users ask."""
        return self.site.url

    def kill(self, revision: str) -> None:
        """Delete the pods of a revision, without a moment to end well."""
        pods = f"--selector=serving.knative.dev/revision={revision}"
        self.site.kubectl("delete", "pod", pods, "--wait=false", "--force", "--grace-period=0")


@contextmanager
def on(site: Site) -> Iterator[Stage]:
    """Have both models live on a site, and a crowd before it, for the length of a block. Raises: NotReady."""
    stage = Stage(OnCluster(site), crowd(seed=3), _VISITS_PER_SECOND, {"first": PAST_RATINGS})
    stage.archive("first")
    with stage.crowds.playing():
        stage.wait(stage.all_live, "two live models", _LIVE_SECONDS)
        yield stage

"""What happened, as the lake has it at a version: the edge between the rows and what is said of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache, partial
from itertools import chain
from typing import Any, Final, get_args

from functions.evaluate_online import core, gather, site
from functions.evaluate_online.arms import OneArm
from functions.evaluate_online.behaviour import Behaviour
from functions.evaluate_online.lists import MINUTE_US, SECOND_US, Arrivals
from functions.evaluate_online.period import Period, first, last, on_trial, settling, share_of_alpha
from functions.evaluate_online.verdict import Rules
from shared import bootstrap, keys
from shared.errors import Corrupt, NotFound
from shared.events import Algorithm
from shared.model import FactorModel
from shared.ports import Lake
from shared.rollout import Release, State
from shared.rows import Kind

_LOOKBACK: Final = 120 * MINUTE_US  # who watches a movie already when it is listed does not watch it for the list
_DAY: Final = 86_400 * SECOND_US
_ONE_DAY: Final = timedelta(days=1)
_MODELS_KEPT: Final = 4

Report = dict[str, Any]


@dataclass(eq=False)
class Online:
    """The deployed function, and the models that it measured last."""

    deps: bootstrap.Deps

    @cached_property
    def model(self) -> Callable[[Algorithm, str], FactorModel]:
        """Reads a model, which never changes. Raises: NotFound, Corrupt, NotReady."""
        artifacts = self.deps.artifacts
        return lru_cache(_MODELS_KEPT)(
            lambda algorithm, version: FactorModel.from_files(artifacts.get(keys.model(algorithm, version)).files)
        )

    @cached_property
    def window(self) -> int:
        """How long after their first list users are watched, in microseconds."""
        return round(self.deps.settings.online_window_minutes * MINUTE_US)

    @cached_property
    def settle(self) -> int:
        """How long it takes until every copy of `recommend` has seen a change of weights, in microseconds."""
        return settling(self.deps.settings.channel_poll_seconds)

    @cached_property
    def length(self) -> int:
        """How long a period may be, in microseconds."""
        return round(self.deps.settings.online_days * _DAY)

    def period(self, state: State, now: int) -> Period:
        """Return what a service is looked at by: the first days of a canary, the last ones without."""
        if on_trial(state):
            return first(state, now, self.settle, self.length)
        return last(state, now, self.settle, self.length)

    def rules(self, percent: int) -> Rules:
        """Return the rules for a canary with so many of the users."""
        settings = self.deps.settings
        return Rules(
            alpha=settings.verdict_alpha * share_of_alpha(percent, settings.canary_steps),
            margin=settings.verdict_margin,
            min_users=settings.verdict_min_users,
            expected_users=settings.verdict_expected_users,
        )

    def summary(self, arm: OneArm, algorithm: Algorithm, release: Release) -> Report:
        """Return the numbers of an arm; those of its model only if it can be read."""
        try:
            model = self.model(algorithm, release.model_version)
        except (NotFound, Corrupt) as error:
            self.deps.log.warning("model_unreadable", model=release.model_version, reason=str(error))
            model = None
        return {"model_version": release.model_version, "revision": release.revision, **arm.summary(model)}


def observe(lake: Lake, version: int, span: Period, window: int) -> Behaviour:
    """Read what was served in a period, and what the users did with it. Raises: Corrupt, NotReady."""
    since = span.since - _LOOKBACK
    ids, day = gather.Ids(), datetime.fromtimestamp(since / 1e6, UTC).date()
    lists = gather.served(lake.scan("served", gather.LIST_COLUMNS, version, day), ids, span.since)
    requests = gather.requests(lake.scan("request", gather.REQUEST_COLUMNS, version, day), ids)
    ahead = site.skew(lists, requests.take(~requests.failed))
    requests = replace(requests, times=requests.times - ahead)
    acts = partial(gather.acts, ids=ids, since=since, until=span.until + 2 * window, clock_ahead=ahead)
    watches = acts(lake.scan("watch", gather.WATCH_COLUMNS, version, day), value="minute")
    ratings = acts(lake.scan("rating", gather.RATING_COLUMNS, version, day), value="rating")
    until = min(site.watermark(watches), site.complete(_arrivals(lake, version, ahead)))
    return Behaviour(ids, lists, requests, watches, core.latest(ratings), until)


def _arrivals(lake: Lake, version: int, ahead: int) -> Arrivals:
    """Read which records of the site's log came in on the last day that has any, and the day before."""
    newest = max((each.partition.date for each in lake.files(version)), default=None)
    since = newest - _ONE_DAY if newest else None
    batches = (lake.scan(kind, gather.ARRIVAL_COLUMNS, version, since) for kind in get_args(Kind) if kind != "served")
    return gather.arrivals(chain.from_iterable(batches), ahead)

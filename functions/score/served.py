"""The model that answers now, and what users did since its matrix was built, kept up with in the background."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from threading import Lock

from functions.score import core
from functions.score.fresh import COLUMNS, KINDS, NOTHING, Acts, Fresh
from shared import bootstrap, keys, telemetry
from shared.adapters.follow import Follower, within
from shared.errors import Corrupt, NotFound, NotReady
from shared.history import HISTORY
from shared.ports import Commits
from shared.recommendation import Popular

_USERS_KEPT = 10_000
_SOON = 1.0  # seconds after the start: the first answers come first


@dataclass(eq=False)
class Served:
    """A model and what came after it: the rows up to `lake_version`, all that there were at `complete_at` (seconds).

    `erasures` counts those that had been made before the model was read.
    """

    serving: core.Serving
    lake_version: int
    complete_at: float
    erasures: int = 0
    fresh: Fresh = field(default_factory=Fresh)

    @classmethod
    def of(cls, serving: core.Serving, erasures: int = 0) -> "Served":
        """Return a model with nothing after it yet."""
        return cls(serving, serving.lake_version, serving.complete_at, erasures)

    @cached_property
    def _known(self) -> Callable[[str, Acts], core.Known | None]:
        return lru_cache(_USERS_KEPT)(partial(core.known, self.serving))

    def user(self, user_id: str) -> core.Known | None:
        """Return what is known of a user; one who never did anything takes no room."""
        acts = self.fresh.of(user_id)
        if acts is NOTHING and user_id not in self.serving.history.user_index:
            return None
        return self._known(user_id, acts)


@dataclass
class Score:
    """The deployed function: one algorithm, and the model that answers now.

    `refused` is the last model that could not be loaded, and why.
    """

    deps: bootstrap.Deps
    refused: tuple[tuple[str, int], Corrupt | NotFound | None] = ("", 0), None
    waits_until: float = 0.0

    def __post_init__(self) -> None:
        settings = self.deps.settings
        self.algorithm = settings.algorithm
        self._lake_turn = Lock()
        self.served = Follower(f"model of {self.algorithm}", self.fetch, settings.channel_poll_seconds)
        poll = settings.fresh_poll_seconds
        self._up_to_date = Follower("lake", lambda _: self.catch_up(self.served.get()), poll, wait=min(poll, _SOON))
        self.popular = Follower(
            "popular movies", lambda _: self.count(self.served.get()), 5 * poll, wait=min(poll, _SOON)
        )
        telemetry.FRESHNESS.set_function(self.seconds_behind)
        telemetry.FRESH_ACTS.set_function(self.n_acts)

    @cached_property
    def lake(self) -> Commits:
        """What comes into the lake; its library takes longer to load than a model, so it waits for the first model."""
        return self.deps.open_commits()

    def ready(self) -> None:
        """Raise NotReady until there is a model and, for a while, until it knows what users did since its matrix."""
        self.served.get()
        if self._up_to_date.value is None and time.monotonic() < self.waits_until:
            raise NotReady("what users did since the model's matrix is not read yet")

    def fetch(self, held: Served | None) -> Served | None:
        """Return the model that shall serve, with what came after it; the one held if it is the same.

        It is the one of the setting MODEL_VERSION, else the one that the service's channel names. It is loaded anew
        whenever somebody was taken out of the stored models because they asked to be forgotten.
        Raises: Corrupt if it fails any check, each such model counted once and not loaded again; NotReady.
        """
        version = self.deps.settings.model_version or self._named()
        erasures = self.deps.channels.get(keys.ERASURE_CHANNEL).get("erasures", 0)
        if not version or (held and (held.serving.model_version, held.erasures) == (version, erasures)):
            return held
        served = Served.of(self._loaded(version, erasures), erasures)
        if held:
            self._try_to_catch_up(served)
        else:
            self.waits_until = time.monotonic() + self.deps.settings.fresh_wait_seconds
        telemetry.MODEL_INFO.clear()
        telemetry.MODEL_INFO.labels(self.algorithm, served.serving.model_version).set(1)
        self.deps.log.info("model_loaded", algorithm=self.algorithm, model=served.serving.model_version)
        return served

    def catch_up(self, served: Served) -> int:
        """Take in what the lake has committed since the last look, and return its version. Raises: NotReady."""
        with self._lake_turn:
            looked_at = self.deps.now().timestamp()
            version, found = self.lake.since(served.lake_version, KINDS, COLUMNS)
            for rows in found:
                telemetry.FRESH_ROWS.inc(served.fresh.take(rows))
            served.lake_version, served.complete_at = version, looked_at
            return version

    def count(self, served: Served) -> Popular:
        """Return what everybody likes these days, named by what of the lake is at least in it."""
        name = f"popular@{served.serving.matrix_id}+{served.lake_version}"
        movies = core.popular(served.serving.history, served.fresh.liked(served.serving.model.mean))
        return Popular(movies=movies, model=name)

    def seconds_behind(self) -> float:
        """Return for how long something may have happened that this process does not know of."""
        served = self.served.value
        return self.deps.now().timestamp() - served.complete_at if served else float("nan")

    def n_acts(self) -> int:
        """Return how many acts are held that came after the model's matrix."""
        served = self.served.value
        return served.fresh.n_acts if served else 0

    def made_by(self, served: Served) -> dict[str, str]:
        """Return what stands in every answer of who made it."""
        model = f"{self.algorithm}@{served.serving.model_version}"
        return {"model": model, "revision": self.deps.settings.k_revision}

    def _named(self) -> str | None:
        """Return the model that the channel names, None before there is one. Raises: Corrupt if it names none."""
        service = keys.score_service(self.algorithm)
        state = self.deps.channels.get(service)
        version = state.get("model_version")
        if state and not (isinstance(version, str) and version):
            raise Corrupt(f"the channel of {service} names no model: {version!r}")
        return version

    def _loaded(self, version: str, erasures: int) -> core.Serving:
        """Return a model. Raises: Corrupt; what was refused changes by erasure alone, what was not there may come."""
        known, error = self.refused
        if known != (version, erasures) or isinstance(error, NotFound):
            try:
                return self._load(version)
            except (Corrupt, NotFound) as failure:
                error = failure
            if known != (version, erasures):
                telemetry.MODEL_REFUSED.labels(self.algorithm).inc()
            self.refused = (version, erasures), error
        raise Corrupt(f"{version}: {error!r}") from error

    def _load(self, version: str) -> core.Serving:
        artifacts = self.deps.artifacts
        model = artifacts.get(keys.model(self.algorithm, version))
        matrix = artifacts.get(str(model.manifest.made_from), only=[HISTORY])
        return core.load(model, matrix.manifest, matrix.files[HISTORY], self.algorithm, version)

    def _try_to_catch_up(self, served: Served) -> None:
        """A model that takes over shall not forget what users did since: but it takes over in any case, and soon."""
        if not within(self.deps.settings.fresh_wait_seconds, "lake", lambda: self.catch_up(served)):
            self.deps.log.warning("lake_behind", model=served.serving.model_version)

"""The model that answers now, and what users did since its matrix was built, kept up with in the background."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache, partial
from threading import Lock

from functions.score import core
from functions.score.fresh import COLUMNS, NOTHING, Acts, Fresh
from shared import bootstrap, keys, telemetry
from shared.adapters.follow import Follower
from shared.errors import Corrupt, MarqueeError, NotFound
from shared.history import HISTORY
from shared.ports import Lake
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
        return cls(serving, serving.lake_version, datetime.fromisoformat(serving.built_at).timestamp(), erasures)

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
    """The deployed function: one algorithm, and the model that answers now."""

    deps: bootstrap.Deps
    refused: tuple[str, int] | None = None

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

    @cached_property
    def lake(self) -> Lake:
        """The lake; its library takes longer to load than a model, so it waits for the first model."""
        return self.deps.open_lake()

    def fetch(self, held: Served | None) -> Served | None:
        """Return the model that shall serve, with what came after it; the one held if it is the same.

        It is the one of the setting MODEL_VERSION, else the one that the service's channel names. It is loaded anew
        whenever somebody was taken out of the stored models because they asked to be forgotten.
        Raises: Corrupt if it fails any check, each such model counted once; NotReady.
        """
        version = self.deps.settings.model_version or self._named()
        erasures = self.deps.channels.get(keys.ERASURE_CHANNEL).get("erasures", 0)
        if not version or (held and (held.serving.model_version, held.erasures) == (version, erasures)):
            return held
        try:
            serving = self._load(version)
        except (Corrupt, NotFound) as error:
            if (version, erasures) != self.refused:
                telemetry.MODEL_REFUSED.labels(self.algorithm).inc()
            self.refused = version, erasures
            raise Corrupt(f"{version}: {error!r}") from error
        served = Served.of(serving, erasures)
        if held:
            self._try_to_catch_up(served)
        telemetry.MODEL_INFO.clear()
        telemetry.MODEL_INFO.labels(self.algorithm, serving.model_version).set(1)
        self.deps.log.info("model_loaded", algorithm=self.algorithm, model=serving.model_version)
        return served

    def catch_up(self, served: Served) -> int:
        """Take in what the lake has committed since the last look, and return its version. Raises: NotReady."""
        with self._lake_turn:
            looked_at = self.deps.now().timestamp()
            version, batches = self.lake.since(served.lake_version, COLUMNS)
            for batch in batches:
                served.fresh.take(batch)
                telemetry.FRESH_ROWS.inc(len(batch))
            served.lake_version, served.complete_at = version, looked_at
            return version

    def count(self, served: Served) -> Popular:
        """Return what everybody likes these days."""
        movies = core.popular(served.serving.history, served.fresh.liked(served.serving.model.mean))
        return Popular(movies=movies, model=f"popular@{served.serving.matrix_id}")

    def seconds_behind(self) -> float:
        """Return for how long something may have happened that this process does not know of."""
        served = self.served.value
        return self.deps.now().timestamp() - served.complete_at if served else float("nan")

    def made_by(self, served: Served) -> dict[str, str]:
        """Return what stands in every answer of who made it."""
        model = f"{self.algorithm}@{served.serving.model_version}"
        return {"model": model, "revision": self.deps.settings.k_revision}

    def _named(self) -> str | None:
        state = self.deps.channels.get(keys.score_service(self.algorithm))
        return str(state.get("model_version")) if state else None

    def _load(self, version: str) -> core.Serving:
        artifacts = self.deps.artifacts
        model = artifacts.get(keys.model(self.algorithm, version))
        matrix = artifacts.get(str(model.manifest.made_from), only=[HISTORY])
        return core.load(model, matrix.manifest, matrix.files[HISTORY])

    def _try_to_catch_up(self, served: Served) -> None:
        """A model that takes over shall not forget what users did since: but it takes over in any case."""
        try:
            self.catch_up(served)
        except MarqueeError as error:
            self.deps.log.warning("lake_behind", reason=str(error))

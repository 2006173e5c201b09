"""What is kept in memory and followed in the background, so that no answer waits for it or fails without it."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from functions.recommend.core import is_plain
from shared import bootstrap, experiment, keys, titles
from shared.adapters import files
from shared.adapters.follow import Follower
from shared.adapters.web import Web
from shared.errors import NotFound, NotReady
from shared.events import Algorithm
from shared.ports import Target, Traffic
from shared.recommendation import Popular
from shared.settings import Settings

CONFIGURED_TAG: Final = "stable"
"""The tag of a service's configured address, asked while no router says more."""

_PACKAGED: Final = Path(__file__).with_name("popular.json")
_POLLS_OF_TITLES: Final = 15  # a large object that seldom changes


def urls(settings: Settings) -> dict[Algorithm, str]:
    """Return the configured address of each algorithm's service."""
    return {"svd": settings.score_svd_url, "svdpp": settings.score_svdpp_url}


def follow_popular(deps: bootstrap.Deps, web: Web) -> Follower[Popular]:
    """Follow what the models say is popular, from the last known copy on, else from the packaged list."""
    first = read_popular(deps.settings.popular_file)
    return Follower(
        "popular movies", lambda held: fetch_popular(deps, web, held), deps.settings.channel_poll_seconds, first
    )


def read_popular(copy: Path | None) -> Popular:
    """Return the copy of the last list that was followed, or the packaged one if there is none with movies in it."""
    if copy is not None:
        try:
            kept = Popular.model_validate_json(copy.read_bytes())
        except (OSError, ValidationError):
            kept = Popular(movies=[], model="")
        if kept.movies and is_plain(kept.model):
            return kept
    return Popular(movies=json.loads(_PACKAGED.read_bytes()), model="popular@none")


def fetch_popular(deps: bootstrap.Deps, web: Web, held: Popular | None) -> Popular:
    """Return what the first service that answers says is popular, and keep a copy of news. Raises: NotReady."""
    reasons: list[str] = []
    for url in urls(deps.settings).values():
        try:
            found = Popular.model_validate_json(web.get(f"{url}/popular"))
        except (NotFound, NotReady, ValidationError) as error:
            reasons.append(str(error)[:200])
            continue
        if found.movies and is_plain(found.model):
            if found != held:
                _keep(deps, found)
            return found
    raise NotReady(f"no model says what is popular: {'; '.join(reasons)}")


def _keep(deps: bootstrap.Deps, popular: Popular) -> None:
    if deps.settings.popular_file is None:
        return
    try:
        files.replace(deps.settings.popular_file, popular.model_dump_json().encode())
    except NotReady as error:  # the list is in memory all the same
        deps.log.warning("popular_not_kept", reason=str(error))


def follow_titles(deps: bootstrap.Deps) -> Follower[titles.Titles]:
    """Follow the catalogue of titles in the bucket; while there is none, it is empty."""

    def fetch(held: titles.Titles | None) -> titles.Titles | None:
        try:
            return titles.decode(deps.objects.get(keys.TITLES).data)
        except NotFound:
            return held

    none: titles.Titles = {}
    return Follower("titles", fetch, deps.settings.channel_poll_seconds * _POLLS_OF_TITLES, none)


def follow_weights(deps: bootstrap.Deps) -> Follower[Mapping[Algorithm, int]]:
    """Follow how the users are shared between the algorithms; until the channel says, it is the setting."""
    settings = deps.settings

    def fetch(_: object) -> Mapping[Algorithm, int]:
        standing = experiment.known(deps.channels)
        return experiment.shares(standing.svd_percent if standing else settings.score_svd_weight)

    configured: Mapping[Algorithm, int] = experiment.shares(settings.score_svd_weight)
    return Follower("weights of the algorithms", fetch, settings.channel_poll_seconds, configured)


def follow_targets(deps: bootstrap.Deps) -> Mapping[Algorithm, Callable[[], Sequence[Target]]]:
    """Follow where the router sends the requests of each service; until it says, to the configured address."""
    traffic = bootstrap.traffic(deps.settings, deps.environment)
    return {algorithm: _follow_targets(deps, traffic, algorithm, url) for algorithm, url in urls(deps.settings).items()}


def _follow_targets(
    deps: bootstrap.Deps, traffic: Traffic | None, algorithm: Algorithm, url: str
) -> Callable[[], Sequence[Target]]:
    configured: Sequence[Target] = [Target("", CONFIGURED_TAG, 100, url)]
    if traffic is None:
        return lambda: configured
    service, seconds = keys.score_service(algorithm), deps.settings.channel_poll_seconds
    return Follower(f"traffic of {service}", lambda _: fetch_targets(traffic, service), seconds, configured).get


def fetch_targets(traffic: Traffic, service: str) -> Sequence[Target]:
    """Return the targets of a service. Raises: NotReady if none has traffic."""
    targets = traffic.targets(service)
    if not any(target.percent for target in targets):
        raise NotReady(f"no revision of {service} has traffic")
    return targets

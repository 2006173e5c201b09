"""Ask a revision by its tag, before any user does."""

from urllib.parse import quote

from pydantic import ValidationError

from shared.adapters.web import Web
from shared.errors import NotFound, NotReady
from shared.events import Algorithm
from shared.ports import Target
from shared.recommendation import Model, Recommendation
from shared.rollout import Release


def smoke(web: Web, target: Target, algorithm: Algorithm, release: Release) -> str:
    """Return what is wrong with a revision's answers, nothing if they are as they should be.

    It must say that it is the model and the revision of the release, and answer those users whom it names as known with
    movies in the order of their scores.
    """
    headers = {"host": target.host} if target.host else {}
    wanted = f"{algorithm}@{release.model_version}", release.revision
    try:
        told = Model.model_validate_json(web.get(f"{target.url}/model", headers))
        answers = [
            Recommendation.model_validate_json(web.get(f"{target.url}/top/{quote(user, safe='')}", headers))
            for user in told.users
        ]
    except (NotFound, NotReady, ValidationError) as error:
        return f"it does not answer as it should: {str(error)[:200]}"
    for found in [(told.model, told.revision), *((answer.model, answer.revision) for answer in answers)]:
        if found != wanted:
            return f"{found[0]} of {found[1]} answers, not {wanted[0]} of {wanted[1]}"
    if not answers:
        return "it knows no user"
    for user, answer in zip(told.users, answers, strict=True):
        if not answer.movies:
            return f"it has no movies for user {user}"
        if len(answer.scores) != len(answer.movies) or answer.scores != sorted(answer.scores, reverse=True):
            return f"the movies for user {user} are not in the order of their scores"
    return ""

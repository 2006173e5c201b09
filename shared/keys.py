"""Where everything is in the bucket."""

from datetime import UTC, datetime

LANDING = "landing/"
REFUSED = "refused/"
LAKE = "lake/events"
LAKE_LOG = "lake/events/_delta_log/"
MODELS = "models/"
FORGOTTEN = "forgotten/"
SALT = "forgotten/salt"
MATRIX_CHANNEL = "build_matrix"
EVALUATION_CHANNEL = "evaluate_online"
EXPERIMENT_CHANNEL = "experiment"
EXPIRY_CHANNEL = "expire"
ERASURE_CHANNEL = "forget"
ONLINE_REPORTS = "reports/online/"
TITLES = "catalogue/titles.json"
DVC = "dvc/"


def landing(ingested_at: int, digest: str) -> str:
    """Return the name of a landed group: when it was taken in (microseconds since 1970), and its content."""
    moment = datetime.fromtimestamp(ingested_at / 1e6, UTC)
    return f"{LANDING}{moment:%Y%m%dT%H%M%S.%f}-{digest[:16]}.parquet"


def is_landing(key: str, digest: str) -> bool:
    """Say whether the name of a landed group vouches for this content."""
    return key.endswith(f"-{digest[:16]}.parquet")


def refused(key: str) -> str:
    """Return where a landed object goes that cannot be read."""
    return REFUSED + key.removeprefix(LANDING)


def matrix(matrix_id: str) -> str:
    """Return the folder of a matrix."""
    return f"matrices/{matrix_id}"


def models(algorithm: str) -> str:
    """Return the beginning of the names of all models of an algorithm."""
    return f"{MODELS}{algorithm}/"


def model(algorithm: str, model_version: str) -> str:
    """Return the folder of a model."""
    return f"{MODELS}{algorithm}/{model_version}"


def report(algorithm: str, model_version: str) -> str:
    """Return the folder of a model's offline report."""
    return f"reports/{algorithm}/{model_version}"


def decision(service: str, model_version: str, number: int) -> str:
    """Return where a decision about a model of a service is stored."""
    return f"decisions/{service}/{model_version}/{number}.json"


def lake_commit(version: int) -> str:
    """Return what is there once the lake has come to a version, as Delta Lake's protocol has it."""
    return f"{LAKE_LOG}{version:020}.json"


def online_report(number: int) -> str:
    """Return where it is stored what the users did up to a version of the lake."""
    return f"{ONLINE_REPORTS}{number}.json"


def score_service(algorithm: str) -> str:
    """Return the name of the service that answers from an algorithm's models, and of its channel."""
    return f"score-{algorithm}"


def channel(service: str) -> str:
    """Return the one mutable object of a service: which artifact it uses now."""
    return f"channels/{service}.json"

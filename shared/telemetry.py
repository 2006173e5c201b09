"""The metrics of every function, in one place. No label holds a user or a movie."""

from prometheus_client import Counter, Gauge, Histogram

_DEADLINE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 2.5, 10.0)

INGESTED = Counter("marquee_ingested_records_total", "Records taken in and durable, by kind", ["kind"])
QUARANTINED = Counter("marquee_quarantined_records_total", "Records kept in quarantine, by reason", ["reason"])
GROUP_ROWS = Histogram(
    "marquee_ingest_group_rows", "Rows that shared one stored object", buckets=(1, 2, 5, 10, 25, 50, 100, 250, 1000)
)
GROUP_SECONDS = Histogram("marquee_ingest_group_seconds", "Seconds to make one group durable")

FOLDED = Counter("marquee_folded_rows_total", "Rows committed to the lake")
EXPIRED = Counter("marquee_expired_rows_total", "Rows deleted from the lake for their age, by kind", ["kind"])
VACUUMED = Counter("marquee_vacuumed_bytes_total", "Bytes of files that no version in use needed any more")
FORGOTTEN = Counter("marquee_forgotten_records_total", "Records dropped because their user asked to be forgotten")
LAKE_VERSION = Gauge("marquee_lake_version_number", "The lake's newest version")

HANDLED = Counter("marquee_handled_events_total", "Events answered, by type and status", ["type", "status"])
HANDLE_SECONDS = Histogram(
    "marquee_handle_seconds", "Seconds to handle one event", ["type"], buckets=(0.01, 0.05, 0.25, 1, 5, 30, 120, 600)
)

FIT_SECONDS = Gauge("marquee_fit_seconds", "Seconds that the last fit took", ["algorithm"])
OFFLINE_RMSE = Gauge("marquee_offline_rmse_ratio", "Validation RMSE of the last evaluated model", ["algorithm"])

REQUESTS = Counter("marquee_recommend_requests_total", "Lists answered", ["rung", "arm"])
BAD_REQUESTS = Counter("marquee_recommend_bad_requests_total", "Requests refused with 400, 404 or 405")
LATENCY = Histogram("marquee_recommend_latency_seconds", "Seconds to answer", buckets=_DEADLINE_BUCKETS)
SCORE_FAILED = Counter(
    "marquee_recommend_score_failures_total",
    "Asked models that gave no answer: an error, or later than another",
    ["arm", "reason"],
)
OVERLOADED = Counter("marquee_recommend_overloaded_total", "Requests that were too many at once to ask a model for")
CHANNEL_UNREADABLE = Counter(
    "marquee_channel_unreadable_total",
    "Times that a channel was read which is damaged, or says what cannot be",
    ["service"],
)
DECISION_CONTESTED = Counter(
    "marquee_decision_contested_total",
    "Times that another decision stood where one was to be stored; nobody is told of it",
    ["service"],
)
EVENTS_DROPPED = Counter(
    "marquee_events_dropped_total", "Events that found the buffer full, can never be sent, or were left at the end"
)
MODEL_REFUSED = Counter("marquee_model_refused_total", "Stored models that failed a check", ["algorithm"])
MODEL_INFO = Gauge("marquee_model_info", "1 for the model that answers", ["algorithm", "model_version"])

ONLINE_HITS = Gauge("marquee_online_hit_ratio", "Share of an arm's users who watched a movie of their lists", ["arm"])
ONLINE_USERS = Gauge("marquee_online_users_number", "Users of an arm whose window has closed", ["arm"])
CANARY_WEIGHT = Gauge("marquee_canary_weight_percent", "Share of a service's users that its canary has", ["service"])
ROLLOUT_STATE = Gauge("marquee_rollout_state_info", "1 for the state that a rollout is in", ["service", "state"])
ROLLOUT_CHANGES = Counter(
    "marquee_rollout_changes_total", "Changes of a rollout, by what happened", ["service", "what"]
)

FRESHNESS = Gauge("marquee_freshness_seconds", "Seconds since all that the lake held was known to this process")
FRESH_ROWS = Counter("marquee_fresh_rows_total", "Watches and ratings that were taken in after the model's matrix")
FRESH_ACTS = Gauge("marquee_fresh_acts_number", "Pairs of user and movie held in memory since the model's matrix")

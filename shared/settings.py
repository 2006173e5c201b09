"""Settings, read once from a mapping (the environment) and checked whole."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from shared.errors import BadSettings
from shared.events import Algorithm
from shared.lines import Limits
from shared.rows import Kind

Positive = Annotated[float, Field(gt=0)]
Days = Annotated[int, Field(ge=0, le=36_500)]
"""How long something is kept; 0 for ever."""


class Settings(BaseModel):
    """Everything that a function can be told; each field is the environment variable of its name in capitals."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    bucket: str
    s3_endpoint: str
    kafka_bootstrap: str
    kafka_security_protocol: Literal["PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_ca_file: str = ""
    kafka_username: str = ""
    kafka_password: SecretStr = SecretStr("")

    signing_key_file: Path | None = None
    verify_key_file: Path | None = None
    verify_decisions_file: Path | None = None

    rating_min: float = 0.5
    rating_max: float = 5.0
    rating_step: Positive = 0.5

    group_max_rows: Annotated[int, Field(gt=0)] = 2_000
    group_writers: Annotated[int, Field(gt=0)] = 2

    fold_max_objects: Annotated[int, Field(gt=0)] = 500
    compact_every_folds: Annotated[int, Field(gt=0)] = 100
    expire_every_hours: Positive = 24.0
    retain_watch_days: Days = 730
    retain_rating_days: Days = 0
    retain_request_days: Days = 90
    retain_served_days: Days = 90
    retain_account_days: Days = 730
    retain_quarantine_days: Days = 90

    min_new_ratings: Annotated[int, Field(gt=0)] = 20_000
    matrix_max_age_hours: Positive = 72.0
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1

    params_file: Path = Path("params.yaml")
    train_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    train_threads: Annotated[int, Field(ge=0, le=64)] = 0
    warm_start: bool = True
    rmse_margin: float = 0.0

    online_window_minutes: Positive = 60.0
    online_days: Positive = 7.0
    verdict_alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    verdict_margin: Annotated[float, Field(gt=0, lt=1)] = 0.01
    verdict_min_users: Annotated[int, Field(gt=0)] = 1_000
    verdict_expected_users: Annotated[int, Field(gt=0)] = 30_000

    canary_steps: Annotated[tuple[Annotated[int, Field(gt=0, lt=100)], ...], Field(min_length=1)] = (5, 25, 50)
    canary_step_seconds: Positive = 600.0
    canary_max_hours: Positive = 72.0
    deploy_seconds: Positive = 300.0
    unready_seconds: Positive = 60.0

    channel_poll_seconds: Positive = 2.0
    algorithm: Algorithm = "svd"
    model_version: str = ""
    fresh_poll_seconds: Positive = 2.0
    fresh_wait_seconds: Annotated[float, Field(ge=0)] = 5.0
    k_revision: str = "local"

    score_svd_url: str = "http://127.0.0.1:8101"
    score_svdpp_url: str = "http://127.0.0.1:8102"
    score_svd_weight: Annotated[int, Field(ge=0, le=100)] = 50
    experiment_step: Annotated[int, Field(ge=0, le=80)] = 0
    experiment_salt: str = "marquee"
    router: Literal["none", "envoy", "knative"] = "none"
    router_url: str = "http://127.0.0.1:9901"
    kubernetes_url: str = ""
    deadline_ms: Positive = 600.0
    hedge_ms: Positive = 100.0
    reserve_ms: Positive = 100.0
    in_flight_most: Annotated[int, Field(gt=0)] = 64
    popular_file: Path | None = None

    @field_validator("canary_steps", mode="before")
    @classmethod
    def _listed(cls, steps: Any) -> Any:
        return steps.split(",") if isinstance(steps, str) else steps

    @model_validator(mode="after")
    def _make_sense_together(self) -> Self:
        account = (self.kafka_ca_file, self.kafka_username, self.kafka_password)
        if self.kafka_security_protocol == "SASL_SSL" and any(account) and not all(account):
            raise ValueError("SASL_SSL needs KAFKA_CA_FILE, KAFKA_USERNAME and KAFKA_PASSWORD together")
        if self.rating_min >= self.rating_max:
            raise ValueError("RATING_MIN must be below RATING_MAX")
        looked_at = self.online_days + self.canary_max_hours / 24
        for name in ("retain_served_days", "retain_request_days", "retain_watch_days"):
            if 0 < getattr(self, name) <= looked_at:
                raise ValueError(
                    f"{name.upper()} must be 0 or above ONLINE_DAYS + CANARY_MAX_HOURS / 24, here {looked_at:g}, "
                    "or rows go while a canary is still judged by them"
                )
        if list(self.canary_steps) != sorted(set(self.canary_steps)):
            raise ValueError("CANARY_STEPS must rise from step to step")
        if self.reserve_ms >= self.deadline_ms:
            raise ValueError("RESERVE_MS must be below DEADLINE_MS, or no model is ever asked")
        if self.hedge_ms >= self.deadline_ms - self.reserve_ms:
            raise ValueError("HEDGE_MS must be below DEADLINE_MS - RESERVE_MS, or a second model is never asked")
        return self

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> Self:
        """Read settings from a mapping such as `os.environ`.

        Raises: BadSettings listing every key that is missing or wrong.
        """
        values = {name: environment[name.upper()] for name in cls.model_fields if name.upper() in environment}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            wrong = [": ".join([*(str(each).upper() for each in e["loc"]), e["msg"]]) for e in error.errors()]
            raise BadSettings("settings: " + "; ".join(wrong)) from None

    @property
    def retain_days(self) -> dict[str, int]:
        """For how many days the rows of each kind are kept; 0 for ever."""
        return {kind: getattr(self, f"retain_{kind}_days") for kind in get_args(Kind)}

    @property
    def limits(self) -> Limits:
        """The scale of ratings and the times that a line may carry."""
        return Limits(self.rating_min, self.rating_max, self.rating_step)


def cores() -> int:
    """Return how many cores this process may use, at most 64."""
    return min(len(os.sched_getaffinity(0)), 64)

import traceback

import pytest

from shared.errors import BadSettings
from shared.settings import Settings
from tests.fakes import ENVIRONMENT

ACCOUNT = {
    "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "KAFKA_CA_FILE": "/etc/kafka/ca.crt",
    "KAFKA_USERNAME": "ingest",
    "KAFKA_PASSWORD": "a long secret",
}


def test_every_wrong_key_is_named_at_once() -> None:
    """Who starts a function without its settings learns all that is missing or wrong the first time."""
    with pytest.raises(BadSettings) as caught:
        Settings.from_env({"BUCKET": "b", "DEADLINE_MS": "soon", "ALGORITHM": "als"})
    for key in ("S3_ENDPOINT", "KAFKA_BOOTSTRAP", "DEADLINE_MS", "ALGORITHM"):
        assert key in str(caught.value)


def test_the_rating_scale_comes_from_the_environment() -> None:
    """A site with another scale sets three variables."""
    settings = Settings.from_env(ENVIRONMENT | {"RATING_MIN": "1", "RATING_MAX": "10", "RATING_STEP": "1"})
    assert (settings.limits.rating_min, settings.limits.rating_max, settings.limits.rating_step) == (1, 10, 1)


def test_the_steps_of_a_canary_are_a_list() -> None:
    """Percentages, rising, between nobody and everybody."""
    assert Settings.from_env(ENVIRONMENT | {"CANARY_STEPS": "1, 10,50"}).canary_steps == (1, 10, 50)


@pytest.mark.parametrize("days", ["0", "11"])
def test_rows_stay_for_longer_than_canaries_are_judged_by_them(days: str) -> None:
    """A week and three days: 11 are enough, and so is for ever."""
    assert Settings.from_env(ENVIRONMENT | {"RETAIN_SERVED_DAYS": days}).retain_served_days == int(days)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"RATING_MIN": "5", "RATING_MAX": "1"}, "RATING_MIN"),
        ({"DEADLINE_MS": "100", "RESERVE_MS": "100"}, "RESERVE_MS"),
        ({"HEDGE_MS": "500"}, "HEDGE_MS"),
        ({"RETAIN_SERVED_DAYS": "10"}, "RETAIN_SERVED_DAYS must be 0 or above ONLINE_DAYS"),
        ({"RETAIN_REQUEST_DAYS": "30", "ONLINE_DAYS": "28"}, "RETAIN_REQUEST_DAYS must be"),
        ({"RETAIN_WATCH_DAYS": "100", "CANARY_MAX_HOURS": "2400"}, "_DAYS must be"),
        ({"ROUTER": "nginx"}, "ROUTER"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL"}, "KAFKA_SECURITY_PROTOCOL"),
        ({**ACCOUNT, "KAFKA_CA_FILE": ""}, "KAFKA_CA_FILE, KAFKA_USERNAME and KAFKA_PASSWORD"),
        ({**ACCOUNT, "KAFKA_USERNAME": ""}, "KAFKA_CA_FILE, KAFKA_USERNAME and KAFKA_PASSWORD"),
        ({**ACCOUNT, "KAFKA_PASSWORD": ""}, "KAFKA_CA_FILE, KAFKA_USERNAME and KAFKA_PASSWORD"),
        ({"TRAIN_SEED": "-1"}, "TRAIN_SEED"),
        ({"CANARY_STEPS": "50,5"}, "CANARY_STEPS must rise"),
        ({"CANARY_STEPS": "5,5"}, "CANARY_STEPS must rise"),
        ({"CANARY_STEPS": "5,100"}, "CANARY_STEPS"),
        ({"CANARY_STEPS": "0,50"}, "CANARY_STEPS"),
        ({"CANARY_STEPS": "few"}, "CANARY_STEPS"),
        ({"CANARY_STEPS": ""}, "CANARY_STEPS"),
    ],
)
def test_settings_that_make_no_sense_together_are_refused(wrong: dict[str, str], named: str) -> None:
    """A scale without an inside, or no time left for any model, is a mistake to name at start."""
    with pytest.raises(BadSettings, match=named):
        Settings.from_env(ENVIRONMENT | wrong)


@pytest.mark.parametrize("broken", [{}, {"KAFKA_USERNAME": ""}, {"DEADLINE_MS": "soon"}])
def test_a_password_is_never_shown(broken: dict[str, str]) -> None:
    """Neither by settings that are printed nor by what is wrong with them."""
    try:
        shown = repr(Settings.from_env(ENVIRONMENT | ACCOUNT | broken))
    except BadSettings as error:
        shown = "".join(traceback.format_exception(error))
    assert "a long secret" not in shown


def test_who_tells_nobody_anything_needs_no_account() -> None:
    """`score` is told of a Kafka with TLS like all others, and never asks it."""
    Settings.from_env(ENVIRONMENT | {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"})

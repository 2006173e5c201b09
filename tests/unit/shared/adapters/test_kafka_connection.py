import ssl
from pathlib import Path

import botocore
import pytest

from shared.adapters.kafka_connection import connection
from shared.errors import BadSettings
from shared.settings import Settings
from tests.fakes import ENVIRONMENT

ACCOUNT = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_USERNAME": "ingest", "KAFKA_PASSWORD": "secret"}


def settings(**more: str) -> Settings:
    return Settings.from_env(ENVIRONMENT | more)


def test_in_the_clear_nothing_but_the_address_is_needed() -> None:
    """As on one machine."""
    assert connection(settings()) == {
        "bootstrap_servers": ENVIRONMENT["KAFKA_BOOTSTRAP"],
        "reconnect_backoff_max_ms": 2_000,
    }


def test_an_account_is_proved_over_tls_to_the_broker_that_the_authority_names() -> None:
    """Neither a certificate of another authority nor one for another name is taken."""
    told = connection(settings(**ACCOUNT, KAFKA_CA_FILE=str(Path(botocore.__file__).with_name("cacert.pem"))))
    trusted = told.pop("ssl_context")
    assert (trusted.verify_mode, trusted.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert told == {
        "bootstrap_servers": ENVIRONMENT["KAFKA_BOOTSTRAP"],
        "reconnect_backoff_max_ms": 2_000,
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "ingest",
        "sasl_plain_password": "secret",
    }


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_authority_that_cannot_be_read_is_a_mistake_in_the_settings(tmp_path: Path, content: str | None) -> None:
    """It is named, and found before anything is sent."""
    path = tmp_path / "ca.crt"
    if content:
        path.write_text(content)
    with pytest.raises(BadSettings, match=r"KAFKA_CA_FILE .*ca\.crt"):
        connection(settings(**ACCOUNT, KAFKA_CA_FILE=str(path)))


def test_who_asks_kafka_without_an_account_is_told_so() -> None:
    """A Secret that was forgotten is no reason to go on without TLS."""
    with pytest.raises(BadSettings, match="KAFKA_USERNAME"):
        connection(settings(KAFKA_SECURITY_PROTOCOL="SASL_SSL"))

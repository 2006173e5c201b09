"""How kafka-python reaches Kafka: in the clear, or over TLS and with an account."""

import ssl
from typing import Any, Final

from shared.errors import BadSettings
from shared.settings import Settings

_MECHANISM: Final = "SCRAM-SHA-512"
_AGAIN_MS: Final = 2_000  # a Kafka that is back is found at once, where kafka-python would wait for up to 36 seconds


def connection(settings: Settings) -> dict[str, Any]:
    """Return what each of kafka-python's clients is to be called with. It holds the password: it is not to be kept.

    Raises: BadSettings if the account is missing, or KAFKA_CA_FILE is no file of certificates.
    """
    reached: dict[str, Any] = {"bootstrap_servers": settings.kafka_bootstrap, "reconnect_backoff_max_ms": _AGAIN_MS}
    if settings.kafka_security_protocol == "PLAINTEXT":
        return reached
    if not settings.kafka_username:
        raise BadSettings("SASL_SSL needs KAFKA_CA_FILE, KAFKA_USERNAME and KAFKA_PASSWORD, and none is set")
    try:
        trusted = ssl.create_default_context(cafile=settings.kafka_ca_file)
    except OSError as error:  # also ssl.SSLError
        raise BadSettings(f"KAFKA_CA_FILE {settings.kafka_ca_file}: {error}") from error
    return reached | {
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": trusted,
        "sasl_mechanism": _MECHANISM,
        "sasl_plain_username": settings.kafka_username,
        "sasl_plain_password": settings.kafka_password.get_secret_value(),
    }

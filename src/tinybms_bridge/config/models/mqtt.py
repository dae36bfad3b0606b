"""Section ``mqtt``: publishing to a broker."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import SecretStr

from tinybms_bridge.config.models.base import Section, flag, must, number, secret, text

__all__ = ["Mqtt"]

_URI_RULE = "must be mqtt://HOST or mqtts://HOST, with :PORT if needed, without user name and password"
_TOPIC_RULE = "must be a topic of at most 200 characters without +, #, empty levels and control characters"
_CERTIFICATE_RULE = "must be a certificate in PEM text (-----BEGIN CERTIFICATE-----), or empty"


def _is_broker_uri(value: str) -> bool:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    bare = not (parts.username or parts.password or parts.path.strip("/") or parts.query or parts.fragment)
    return parts.scheme in ("mqtt", "mqtts") and bool(parts.hostname) and port != 0 and bare and "@" not in value


def _is_topic(value: str) -> bool:
    return len(value) <= 200 and all(re.fullmatch(r"[^+#\x00-\x1F\x7F]+", level) for level in value.split("/"))


def _is_pem_or_empty(value: str) -> bool:
    return not value or ("-----BEGIN CERTIFICATE-----" in value and "-----END CERTIFICATE-----" in value)


class Mqtt(Section):
    """MQTT broker and topics."""

    enabled: bool = flag(False, "MQTT", "Publish to an MQTT broker.")
    uri: Annotated[str, must(_is_broker_uri)] = text(
        "mqtt://127.0.0.1", "Broker", "Address of the broker; mqtts:// encrypts the connection.", rule=_URI_RULE
    )
    port: int = number(1883, 1, 65535, "", "Port", "Port of the broker; a port in the address wins.")
    client_id: str = text(
        "tinybms-victron",
        "Client id",
        "Name of the bridge at the broker.",
        rule="must be 1 to 64 printable characters",
        pattern=r"^[^\x00-\x1F\x7F]{1,64}$",
    )
    username: str = text("", "User name", "User name at the broker; empty for none.", max_length=256)
    password: SecretStr = secret("Password", "Password at the broker; empty for none.")
    root_topic: Annotated[str, must(_is_topic)] = text(
        "victron/tinybms", "Root topic", "Topic under which everything is published.", rule=_TOPIC_RULE
    )
    clean_session: bool = flag(True, "Clean session", "Start each connection without a stored session.")
    use_tls: bool = flag(False, "TLS", "Encrypt the connection to the broker.")
    server_certificate: Annotated[str, must(_is_pem_or_empty)] = text(
        "",
        "Server certificate",
        "Certificate authority of the broker as PEM text; empty uses the system's.",
        rule=_CERTIFICATE_RULE,
        max_length=65_536,
    )
    keepalive_seconds: int = number(30, 5, 300, "s", "Keep-alive", "Longest silence before a ping.")
    reconnect_interval_ms: int = number(
        5000, 500, 600_000, "ms", "Reconnect interval", "Shortest time between two connection attempts."
    )
    default_qos: int = number(0, 0, 2, "", "Quality of service", "0 at most once, 1 at least once, 2 exactly once.")
    retain_by_default: bool = flag(False, "Retain", "Ask the broker to keep the last value of each topic.")

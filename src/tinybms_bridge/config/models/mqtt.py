"""Section ``mqtt``: publishing to a broker."""

import re
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from tinybms_bridge.config.models.base import Secret, Section, flag, number, text
from tinybms_bridge.words import message

__all__ = ["Mqtt"]

_URI_RULE = message("must_be.broker")
_TOPIC_RULE = message("must_be.topic")
_CERTIFICATE_RULE = message("must_be.certificate")


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Mqtt(Section):
    """MQTT broker and topics."""

    enabled: Annotated[bool, flag("MQTT", "Publish to an MQTT broker.")] = False
    uri: Annotated[
        str,
        text(
            "Broker", "Address of the broker; mqtts:// encrypts the connection.", rule=_URI_RULE, holds=_is_broker_uri
        ),
    ] = "mqtt://127.0.0.1"
    port: Annotated[int, number(1, 65535, "", "Port", "Port of the broker; a port in the address wins.")] = 1883
    client_id: Annotated[
        str,
        text(
            "Client id",
            "Name of the bridge at the broker.",
            rule=message("must_be.printable", longest=64),
            pattern=r"^[^\x00-\x1F\x7F]{1,64}$",
        ),
    ] = "tinybms-victron"
    username: Annotated[str, text("User name", "User name at the broker; empty for none.", longest=256)] = ""
    password: Annotated[Secret, text("Password", "Password at the broker; empty for none.")] = Secret()
    root_topic: Annotated[
        str, text("Root topic", "Topic under which everything is published.", rule=_TOPIC_RULE, holds=_is_topic)
    ] = "victron/tinybms"
    clean_session: Annotated[bool, flag("Clean session", "Start each connection without a stored session.")] = True
    use_tls: Annotated[bool, flag("TLS", "Encrypt the connection to the broker.")] = False
    server_certificate: Annotated[
        str,
        text(
            "Server certificate",
            "Certificate authority of the broker as PEM text; empty uses the system's.",
            rule=_CERTIFICATE_RULE,
            holds=_is_pem_or_empty,
            longest=65_536,
        ),
    ] = ""
    keepalive_seconds: Annotated[int, number(5, 300, "s", "Keep-alive", "Longest silence before a ping.")] = 30
    reconnect_interval_ms: Annotated[
        int, number(500, 600_000, "ms", "Reconnect interval", "Shortest time between two connection attempts.")
    ] = 5000
    default_qos: Annotated[
        int, number(0, 2, "", "Quality of service", "0 at most once, 1 at least once, 2 exactly once.")
    ] = 0
    retain_by_default: Annotated[bool, flag("Retain", "Ask the broker to keep the last value of each topic.")] = False

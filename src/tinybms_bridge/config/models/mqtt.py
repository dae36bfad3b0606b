"""Section ``mqtt``: publishing to a broker."""

import re
from dataclasses import dataclass, field
from typing import Annotated, Literal
from urllib.parse import urlsplit

from tinybms_bridge.config.models.base import Secret, Section, certificate, flag, number, text
from tinybms_bridge.words import message

__all__ = ["HomeAssistant", "Mqtt"]

_URI_RULE = message("must_be.broker")
_TOPIC_RULE = message("must_be.topic")
_BROKERS_RULE = message("must_be.brokers")
_KEY_RULE = message("must_be.private_key")


def _is_broker_uri(value: str) -> bool:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    bare = not (parts.username or parts.password or parts.path.strip("/") or parts.query or parts.fragment)
    return parts.scheme in ("mqtt", "mqtts") and bool(parts.hostname) and port != 0 and bare and "@" not in value


def _are_broker_uris(values: list[str]) -> bool:
    return len(values) <= 10 and all(map(_is_broker_uri, values))


def _is_topic(value: str) -> bool:
    return len(value) <= 200 and all(re.fullmatch(r"[^+#\x00-\x1F\x7F]+", level) for level in value.split("/"))


def _is_key_or_empty(value: Secret) -> bool:
    return not value.value or ("PRIVATE KEY-----" in value.value and "ENCRYPTED" not in value.value)


@dataclass(frozen=True, kw_only=True, slots=True)
class HomeAssistant(Section):
    """The battery as a device of Home Assistant, by its MQTT discovery."""

    enabled: Annotated[bool, flag("Home Assistant", "Announce the battery and each pack to Home Assistant.")] = False
    discovery_prefix: Annotated[
        str,
        text(
            "Discovery prefix",
            "Topic under which Home Assistant looks for devices, as set there.",
            rule=_TOPIC_RULE,
            holds=_is_topic,
        ),
    ] = "homeassistant"
    language: Annotated[
        Literal["en", "fr"], text("Language", "Language of the names in Home Assistant: English or French.")
    ] = "en"


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
    further_uris: Annotated[
        list[str],
        text(
            "Further brokers",
            "Addresses to try in turn while the broker is not reached, for example the other nodes of a cluster.",
            rule=_BROKERS_RULE,
            holds=_are_broker_uris,
        ),
    ] = field(default_factory=list)
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
        certificate("Server certificate", "Certificate authority of the broker as PEM text; empty uses the system's."),
    ] = ""
    client_certificate: Annotated[
        str,
        certificate(
            "Client certificate",
            "Certificate of the bridge as PEM text, for brokers that ask for one; empty for none.",
        ),
    ] = ""
    client_key: Annotated[
        Secret,
        text(
            "Client key",
            "Private key of `client_certificate` as PEM text, without a password.",
            rule=_KEY_RULE,
            holds=_is_key_or_empty,
            multiline=True,
        ),
    ] = Secret()
    keepalive_seconds: Annotated[int, number(5, 300, "s", "Keep-alive", "Longest silence before a ping.")] = 30
    reconnect_interval_ms: Annotated[
        int, number(500, 600_000, "ms", "Reconnect interval", "Shortest time between two connection attempts.")
    ] = 5000
    default_qos: Annotated[
        int, number(0, 2, "", "Quality of service", "0 at most once, 1 at least once, 2 exactly once.")
    ] = 0
    retain_by_default: Annotated[bool, flag("Retain", "Ask the broker to keep the last value of each topic.")] = False
    publish_interval_ms: Annotated[
        int, number(200, 600_000, "ms", "Interval", "Time between two states; alarms and events go at once.")
    ] = 1000
    value_topics: Annotated[
        bool,
        flag("A topic for each value", "Publish each value of battery and packs by itself as well, when it changes."),
    ] = False
    firmware_topics: Annotated[
        bool,
        flag("Topics of the firmware", "Publish the topics of the TinyBMS-Victron firmware as well, with `dbus_path`."),
    ] = False
    spool_mb: Annotated[
        int,
        number(
            0, 1000, "MB", "Kept for later", "States and events kept on the disk while no broker is there; 0 = none."
        ),
    ] = 10
    commands: Annotated[
        bool,
        flag("Commands", "Let whoever may publish at the broker inhibit, release, choose profile and log level."),
    ] = False
    home_assistant: HomeAssistant = field(default_factory=HomeAssistant)

"""Notices: what a valid configuration says that has no effect, or that its author should know."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.keys import Keys, keys_of
from tinybms_bridge.config.packs import pack_ports
from tinybms_bridge.errors import said_of
from tinybms_bridge.words import Message, message

__all__ = ["Notice", "notices_of"]

_NO_SERVICE_YET = {"wifi": message("config.no_wifi_yet")}
"""Sections whose service is still to come; the documentation says the same."""

_PUBLISHED_PASSWORDS = frozenset({"tinybms123", "12345678", "admin"})


@dataclass(frozen=True, slots=True)
class Notice:
    """One remark on a configuration that can be used."""

    path: str
    """Dotted path of the key; empty for the whole file."""
    message: Message

    @property
    def description(self) -> Message:
        """All of it in one line."""
        return said_of(self.path or "configuration", self.message)

    def __str__(self) -> str:
        return self.description.text


def notices_of(document: dict[str, Any], configuration: Configuration) -> list[Notice]:
    """Return the remarks on a document, under the names of the models, and the configuration made from it."""
    return [
        *_without_effect(document, keys_of(Configuration)),
        *_short_form(document, configuration),
        *_values(configuration),
    ]


def _without_effect(document: dict[str, Any], keys: Keys, prefix: str = "") -> Iterator[Notice]:
    for name, value in document.items():
        key = keys.get(name)
        if key is not None and key.below is not None:
            yield from _without_effect(value, key.below, f"{prefix}{name}.")
        elif key is not None and key.meaning.no_effect is not None:
            yield Notice(f"{prefix}{name}", key.meaning.no_effect)


def _short_form(document: dict[str, Any], configuration: Configuration) -> Iterator[Notice]:
    """Tell that the port of the short form is nobody's once the packs have names."""
    if configuration.packs and "device" in document.get("hardware", {}).get("uart", {}):
        yield Notice("hardware.uart.device", message("config.ports_of_packs", packs=list(configuration.packs)))


def _values(configuration: Configuration) -> Iterator[Notice]:
    yield from _services(configuration)
    yield from _line(configuration)
    yield from _bus(configuration)
    yield from _sustain(configuration)
    yield from _charge_defaults(configuration)
    yield from _passwords(configuration)
    yield from _in_clear(configuration)


def _services(configuration: Configuration) -> Iterator[Notice]:
    """Tell which sections ask for something that this version does not do yet."""
    # The name on the network is announced, whoever joins it.
    bare = Configuration(wifi=replace(Configuration().wifi, sta_hostname=configuration.wifi.sta_hostname))
    for name, missing in _NO_SERVICE_YET.items():
        if getattr(configuration, name) != getattr(bare, name):
            yield Notice(name, missing)


def _line(configuration: Configuration) -> Iterator[Notice]:
    polling = configuration.tinybms
    fresh_ms = configuration.victron.fresh_timeout_s * 1000
    for path, timeout_ms in {port.timeout_path: port.timeout_ms for port in pack_ports(configuration).values()}.items():
        longest_ms = polling.uart_retry_count * (timeout_ms + polling.uart_retry_delay_ms)
        if longest_ms >= fresh_ms:
            attempts = polling.uart_retry_count
            yield Notice(
                path, message("config.slow_reads", longest_ms=longest_ms, attempts=attempts, fresh_ms=fresh_ms)
            )


def _bus(configuration: Configuration) -> Iterator[Notice]:
    can = configuration.hardware.can
    if can.bitrate not in (250_000, 500_000):
        yield Notice("hardware.can.bitrate", message("config.bitrate", bitrate=can.bitrate))
    if can.mode == "loopback":
        yield Notice("hardware.can.mode", message("config.loopback"))


def _sustain(configuration: Configuration) -> Iterator[Notice]:
    cvl = configuration.cvl
    entry, leave, low = cvl.sustain_soc_entry_percent, cvl.sustain_soc_exit_percent, cvl.soc_min_percent
    if low > 0 and leave > entry >= low:
        told = message(
            "config.sustain_above_minimum",
            entry_percent=entry,
            minimum_percent=low,
            discharge_a=cvl.sustain_dcl_limit_a,
            charge_a=cvl.sustain_ccl_limit_a,
            by_capacity=cvl.sustain_ccl_limit_a is None,
        )
        yield Notice("cvl.sustain_soc_entry_percent", told)


def _charge_defaults(configuration: Configuration) -> Iterator[Notice]:
    """Tell what one value of a set does to the others: by chemistry they would not fit it."""
    cvl = configuration.cvl
    keys = ("bulk_voltage_v", "float_offset_mv", "float_soc_threshold", "float_exit_soc")
    typed = [f"cvl.{key}" for key in keys if getattr(cvl, key) is not None]
    if typed and cvl.charge_defaults == "by_chemistry":
        yield Notice(typed[0], message("config.charge_set", keys=typed))


def _passwords(configuration: Configuration) -> Iterator[Notice]:
    secrets = {
        "wifi.ap_fallback.password": configuration.wifi.ap_fallback.password,
        "web_server.password": configuration.web_server.password,
    }
    for path, password in secrets.items():
        if password.value in _PUBLISHED_PASSWORDS:
            yield Notice(path, message("config.published_password"))


_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


def _in_clear(configuration: Configuration) -> Iterator[Notice]:
    """Tell which secrets of the notifications anybody on the way could read."""
    webhook, ntfy, email = (getattr(configuration.notifications, way) for way in ("webhook", "ntfy", "email"))
    for way, channel, secret in (("webhook", webhook, webhook.url), ("ntfy", ntfy, ntfy.topic)):
        parts = urlsplit(str(getattr(channel.url, "value", channel.url)))
        if channel.enabled and secret.value and parts.scheme == "http" and parts.hostname not in _THIS_MACHINE:
            yield Notice(f"notifications.{way}.url", message("config.in_clear", instead="https://"))
    if email.enabled and email.password.value and email.security == "none" and email.server not in _THIS_MACHINE:
        yield Notice("notifications.email.security", message("config.in_clear", instead="starttls"))

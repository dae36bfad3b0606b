"""Section ``wifi``: how the machine joins or offers a wireless network."""

import ipaddress
import re
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Literal

from tinybms_bridge.config.models.base import Secret, Section, flag, number, text
from tinybms_bridge.words import message

__all__ = ["ApFallback", "Wifi"]


def _is_host_name(value: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", value) is not None


def _is_ipv4_or_empty(value: str) -> bool:
    if not value:
        return True
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return False
    return True


def _is_ssid(value: str) -> bool:
    return value.isprintable() and len(value.encode()) <= 32


def _is_wpa_key_or_empty(value: Secret) -> bool:
    key = value.value
    if len(key) == 64:
        return re.fullmatch(r"[0-9A-Fa-f]{64}", key) is not None
    return not key or (8 <= len(key) <= 63 and key.isascii() and key.isprintable())


_host_name = partial(text, rule=message("must_be.host_name"), holds=_is_host_name)
_ipv4 = partial(text, rule=message("must_be.ipv4"), holds=_is_ipv4_or_empty)
_ssid = partial(text, rule=message("must_be.network_name"), holds=_is_ssid)
_wpa_key = partial(
    text,
    rule=message("must_be.network_key"),
    holds=_is_wpa_key_or_empty,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ApFallback(Section):
    """The access point that the bridge opens when it cannot join a network."""

    enabled: Annotated[
        bool,
        flag(
            "Fallback access point",
            "Open an access point when the network cannot be joined; off by default, because no password is published.",
        ),
    ] = False
    ssid: Annotated[str, _ssid("Access point name", "Name of the access point.")] = "TinyBMS-AP"
    password: Annotated[
        Secret,
        _wpa_key("Access point password", "Password of the access point, needed to open one."),
    ] = Secret()
    channel: Annotated[
        int, number(1, 13, "", "Access point channel", "Channel of the access point in the 2.4 GHz band.")
    ] = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Wifi(Section):
    """Wireless network."""

    mode: Annotated[
        Literal["sta", "ap", "both"], text("Wi-Fi role", "Join a network (sta), be an access point (ap), or both.")
    ] = "sta"
    sta_ssid: Annotated[
        str,
        _ssid("Network name", "Name of the network to join; empty leaves Wi-Fi as the system has it."),
    ] = ""
    sta_password: Annotated[Secret, _wpa_key("Network password", "Password of the network to join.")] = Secret()
    sta_hostname: Annotated[
        str,
        _host_name(
            "Host name", "Name on the network, on a cable too: with `mdns.enabled` that of `http://NAME.local`."
        ),
    ] = "tinybms-bridge"
    sta_ip_mode: Annotated[
        Literal["dhcp", "static"],
        text("Address mode", "Take the address from the network (dhcp) or use the one below (static)."),
    ] = "dhcp"
    sta_static_ip: Annotated[str, _ipv4("Address", "Own address when the mode is static.")] = ""
    sta_gateway: Annotated[str, _ipv4("Gateway", "Address of the router when the mode is static.")] = ""
    sta_subnet: Annotated[str, _ipv4("Netmask", "Netmask when the mode is static.")] = "255.255.255.0"
    ap_fallback: ApFallback = field(default_factory=ApFallback)

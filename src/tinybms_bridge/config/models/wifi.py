"""Section ``wifi``: how the machine joins or offers a wireless network."""

from typing import Literal

from tinybms_bridge.config.models.base import (
    HOST_NAME_RULE,
    IPV4_RULE,
    SSID_RULE,
    WPA_RULE,
    HostName,
    Ipv4Text,
    Section,
    Ssid,
    WpaKey,
    flag,
    number,
    secret,
    text,
)

__all__ = ["ApFallback", "Wifi"]


class ApFallback(Section):
    """The access point that the bridge opens when it cannot join a network."""

    enabled: bool = flag(
        False,
        "Fallback access point",
        "Open an access point when the network cannot be joined; off by default, because no password is published.",
    )
    ssid: Ssid = text("TinyBMS-AP", "Access point name", "Name of the access point.", rule=SSID_RULE)
    password: WpaKey = secret(
        "Access point password", "Password of the access point, needed to open one.", rule=WPA_RULE
    )
    channel: int = number(6, 1, 13, "", "Access point channel", "Channel of the access point in the 2.4 GHz band.")


class Wifi(Section):
    """Wireless network."""

    mode: Literal["sta", "ap", "both"] = text(
        "sta", "Wi-Fi role", "Join a network (sta), be an access point (ap), or both."
    )
    sta_ssid: Ssid = text(
        "",
        "Network name",
        "Name of the network to join; empty leaves Wi-Fi as the system has it.",
        rule=SSID_RULE,
    )
    sta_password: WpaKey = secret("Network password", "Password of the network to join.", rule=WPA_RULE)
    sta_hostname: HostName = text(
        "tinybms-bridge",
        "Host name",
        "Name of the machine on the network.",
        rule=HOST_NAME_RULE,
    )
    sta_ip_mode: Literal["dhcp", "static"] = text(
        "dhcp", "Address mode", "Take the address from the network (dhcp) or use the one below (static)."
    )
    sta_static_ip: Ipv4Text = text("", "Address", "Own address when the mode is static.", rule=IPV4_RULE)
    sta_gateway: Ipv4Text = text("", "Gateway", "Address of the router when the mode is static.", rule=IPV4_RULE)
    sta_subnet: Ipv4Text = text("255.255.255.0", "Netmask", "Netmask when the mode is static.", rule=IPV4_RULE)
    ap_fallback: ApFallback = ApFallback()

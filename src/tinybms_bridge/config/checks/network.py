"""Checks of network keys that need each other."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from tinybms_bridge.config.checks.finding import ConfigFinding, ordered
from tinybms_bridge.config.models.logs import Logging
from tinybms_bridge.config.models.mqtt import Mqtt
from tinybms_bridge.config.models.web_server import WebServer
from tinybms_bridge.config.models.wifi import Wifi
from tinybms_bridge.words import message

__all__ = ["network_findings"]


def network_findings(wifi: Wifi, mqtt: Mqtt, web: WebServer, logging: Logging) -> Iterator[ConfigFinding]:
    """Yield what does not fit in the network sections."""
    if wifi.sta_ip_mode == "static":
        yield from _static_address(wifi)
    yield from _access_point(wifi)
    if mqtt.password.value and not mqtt.username:
        needed = message("config.needed_with", key="mqtt.password")
        yield ConfigFinding(("mqtt.username", "mqtt.password"), (needed,))
    if mqtt.client_certificate and not mqtt.client_key.value:
        needed = message("config.needed_with", key="mqtt.client_certificate")
        yield ConfigFinding(("mqtt.client_key", "mqtt.client_certificate"), (needed,))
    shortest_ms = web.websocket_min_interval_ms
    for longer in ("websocket_update_interval_ms", "websocket_burst_window_ms"):
        yield from ordered(
            "web_server.websocket_min_interval_ms", shortest_ms, f"web_server.{longer}", getattr(web, longer), "ms"
        )
    if logging.output_syslog and not logging.syslog_server:
        yield ConfigFinding(
            ("logging.syslog_server", "logging.output_syslog"),
            (message("config.needed_if", key="logging.output_syslog", value="true"),),
        )


def _access_point(wifi: Wifi) -> Iterator[ConfigFinding]:
    reasons = {
        "wifi.ap_fallback.enabled": wifi.ap_fallback.enabled,
        "wifi.mode": wifi.mode != "sta",
    }
    reason = next((path for path, wanted in reasons.items() if wanted), None)
    if reason is None:
        return
    if not wifi.ap_fallback.ssid:
        named = message("config.needed_for_access_point", key=reason)
        yield ConfigFinding(("wifi.ap_fallback.ssid", reason), (named,))
    if not wifi.ap_fallback.password.value:
        locked = message("config.password_for_access_point", key=reason)
        yield ConfigFinding(("wifi.ap_fallback.password", reason), (locked,))


def _static_address(wifi: Wifi) -> Iterator[ConfigFinding]:
    given = {"sta_static_ip": wifi.sta_static_ip, "sta_gateway": wifi.sta_gateway, "sta_subnet": wifi.sta_subnet}
    for key, value in given.items():
        if not value:
            needed = message("config.needed_if", key="wifi.sta_ip_mode", value='"static"')
            yield ConfigFinding((f"wifi.{key}", "wifi.sta_ip_mode"), (needed,))
    if all(given.values()):
        yield from _same_network(**given)


def _same_network(sta_static_ip: str, sta_gateway: str, sta_subnet: str) -> Iterator[ConfigFinding]:
    host_bits = int(IPv4Address(sta_subnet)) ^ 0xFFFF_FFFF
    if host_bits & (host_bits + 1):
        yield ConfigFinding(("wifi.sta_subnet",), (message("config.netmask"),))
        return
    network = IPv4Network((sta_static_ip, 32 - host_bits.bit_length()), strict=False)
    if IPv4Address(sta_gateway) not in network:
        yield ConfigFinding(
            ("wifi.sta_gateway", "wifi.sta_static_ip", "wifi.sta_subnet"),
            (message("config.other_network", network=network),),
        )

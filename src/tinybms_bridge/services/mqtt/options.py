"""What the configuration says of MQTT."""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.models.mqtt import Mqtt
from tinybms_bridge.config.models.web_server import WebServer

__all__ = ["MqttOptions"]


@dataclass(frozen=True, slots=True)
class MqttOptions:
    """What is wanted."""

    mqtt: Mqtt
    battery_name: str
    folder: Path | None = None
    """Where messages are kept while no broker is there; None: in memory."""
    address: str = ""
    """Of the pages, for who follows a link from Home Assistant; empty where there is none."""

    @classmethod
    def from_config(cls, config: Configuration, folder: Path | None) -> "MqttOptions":
        """Return what a configuration wants."""
        name = f"{config.wifi.sta_hostname}.local" if config.mdns.enabled else ""
        address = _address(config.web_server, name) if config.mqtt.home_assistant.enabled else ""
        return cls(config.mqtt, config.victron.battery_name, folder, address)


def _address(web: WebServer, name: str) -> str:
    """Return where a browser on another machine finds the pages; a link that leads nowhere is worse than none."""
    scheme = "https" if web.tls_self_signed or web.tls_certificate else "http"
    if not web.enabled:
        return ""
    if not web.listen_address:
        return f"{scheme}://{name}:{web.port}/" if name else ""
    listened = ip_address(web.listen_address)
    if listened.is_loopback or listened.is_unspecified or listened.is_link_local:
        return ""
    host = f"[{listened}]" if listened.version == 6 else str(listened)
    return f"{scheme}://{host}:{web.port}/"

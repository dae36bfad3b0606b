"""What the configuration says of MQTT."""

from dataclasses import dataclass
from ipaddress import ip_address

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.models.mqtt import Mqtt
from tinybms_bridge.config.models.web_server import WebServer

__all__ = ["MqttOptions"]


@dataclass(frozen=True, slots=True)
class MqttOptions:
    """What is wanted."""

    mqtt: Mqtt
    battery_name: str
    address: str = ""
    """Of the pages, for who follows a link from Home Assistant; empty where there is none."""

    @classmethod
    def from_config(cls, config: Configuration) -> "MqttOptions":
        """Return what a configuration wants."""
        return cls(config.mqtt, config.victron.battery_name, _address(config.web_server))


def _address(web: WebServer) -> str:
    """Return where a browser on another machine finds the pages; a link that leads nowhere is worse than none."""
    if not web.enabled or not web.listen_address:
        return ""
    listened = ip_address(web.listen_address)
    if listened.is_loopback or listened.is_unspecified or listened.is_link_local:
        return ""
    host = f"[{listened}]" if listened.version == 6 else str(listened)
    return f"{'https' if web.tls_self_signed or web.tls_certificate else 'http'}://{host}:{web.port}/"

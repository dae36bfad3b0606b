"""What the configuration says of MQTT."""

from dataclasses import dataclass
from pathlib import Path

from tinybms_bridge.config.models.mqtt import Mqtt

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

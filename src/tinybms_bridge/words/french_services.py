"""Le catalogue en français, de ce que disent MQTT, les notifications et les autres services."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["SERVICE_SENTENCES"]

SERVICE_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "service.off": "{service:@service_name} est arrêté : il n'y a rien à essayer",
        "service_name.mqtt": "MQTT",
    }
)

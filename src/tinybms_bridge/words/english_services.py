"""The catalogue in English, of what MQTT, notifications and the other services say."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["SERVICE_SENTENCES"]

SERVICE_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "service.off": "{service:@service_name} is off: there is nothing to try",
        "service_name.mqtt": "MQTT",
    }
)

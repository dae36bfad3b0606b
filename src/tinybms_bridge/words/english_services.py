"""The catalogue in English, of what MQTT, notifications and the other services say."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["SERVICE_SENTENCES"]

SERVICE_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "service.off": "{service:@service_name} is off: there is nothing to try",
        "metrics.asked": "a scrape gives {values} values; the last one was asked for {age_s:.0f} s ago",
        "metrics.login_required": "metrics are for programs on the machine of the bridge, for the token metrics.token, and for who is logged in",
        "metrics.never_asked": "a scrape gives {values} values; nobody has asked for one yet",
        "service_name.metrics": "metrics",
        "service_name.mqtt": "MQTT",
    }
)

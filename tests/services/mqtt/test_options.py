"""What the configuration wants of MQTT: where Home Assistant's link to the pages leads."""

import pytest

from tinybms_bridge.config.loader import interpret
from tinybms_bridge.services.mqtt.options import MqttOptions


@pytest.mark.parametrize(
    ("web", "address"),
    [
        ({}, ""),
        ({"listen_address": "127.0.0.1"}, ""),
        ({"listen_address": "::1"}, ""),
        ({"listen_address": "0.0.0.0"}, ""),
        ({"listen_address": "192.168.1.7"}, "http://192.168.1.7:8080/"),
        ({"listen_address": "192.168.1.7", "port": 8443, "tls_self_signed": True}, "https://192.168.1.7:8443/"),
        ({"listen_address": "2001:db8::7"}, "http://[2001:db8::7]:8080/"),
        ({"listen_address": "192.168.1.7", "enabled": False}, ""),
    ],
)
def test_the_link_to_the_pages_leads_there_or_is_left_out(web: dict[str, object], address: str) -> None:
    """A loopback, or every address at once, is no place that a browser on another machine can go to."""
    config = interpret({"web_server": web, "victron": {"battery_name": "Boat"}}, "test").configuration
    found = MqttOptions.from_config(config)
    assert (found.address, found.battery_name) == (address, "Boat")

"""What the configuration wants of MQTT: where Home Assistant's link to the pages leads."""

import pytest

from tinybms_bridge.config.loader import interpret
from tinybms_bridge.services.mqtt.options import MqttOptions

WANTED = {"mqtt": {"home_assistant": {"enabled": True}}}
"""Nobody else follows the link."""


@pytest.mark.parametrize(
    ("web", "address"),
    [
        ({}, "http://boat.local:8080/"),
        ({"tls_self_signed": True}, "https://boat.local:8080/"),
        ({"enabled": False}, ""),
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
    document = {"web_server": web, "victron": {"battery_name": "Boat"}, "wifi": {"sta_hostname": "boat"}, **WANTED}
    found = MqttOptions.from_config(interpret(document, "test").configuration, None)
    assert (found.address, found.battery_name) == (address, "Boat")


def test_there_is_no_link_by_a_name_that_nobody_tells() -> None:
    """Without the name in the network, and without an address, nothing is known that would lead there."""
    found = MqttOptions.from_config(interpret({"mdns": {"enabled": False}, **WANTED}, "test").configuration, None)
    assert found.address == ""

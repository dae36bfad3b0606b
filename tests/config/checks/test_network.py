from collections.abc import Callable
from typing import Any

import pytest

Complaints = Callable[[object], dict[str, str]]

STATIC = {"sta_ip_mode": "static", "sta_static_ip": "192.168.1.20", "sta_gateway": "192.168.1.1"}


def wifi(**keys: Any) -> dict[str, Any]:
    """Make a document with keys of section ``wifi``."""
    return {"wifi": keys}


def test_a_static_address_is_accepted(complaints: Complaints) -> None:
    """Address and gateway are enough, the netmask has a default."""
    assert complaints(wifi(**STATIC)) == {}


def test_a_static_mode_needs_its_addresses(complaints: Complaints) -> None:
    """Every missing address is named, not only the first."""
    message = 'must be given, because wifi.sta_ip_mode is "static"'

    assert complaints(wifi(sta_ip_mode="static", sta_subnet="")) == {
        "wifi.sta_static_ip": message,
        "wifi.sta_gateway": message,
        "wifi.sta_subnet": message,
    }


def test_addresses_are_free_with_dhcp(complaints: Complaints) -> None:
    """Left-over addresses do not matter when they are not used."""
    assert complaints(wifi(sta_static_ip="10.0.0.1", sta_gateway="192.168.1.1")) == {}


@pytest.mark.parametrize("mask", ["255.0.255.0", "0.0.0.255", "255.255.255.1"])
def test_the_netmask_is_one(mask: str, complaints: Complaints) -> None:
    """Ones, then zeros: anything else routes nothing."""
    assert complaints(wifi(**STATIC, sta_subnet=mask)) == {"wifi.sta_subnet": "must be a netmask such as 255.255.255.0"}


def test_the_gateway_is_a_neighbour(complaints: Complaints) -> None:
    """A gateway in another network cannot be reached."""
    assert complaints(wifi(**{**STATIC, "sta_gateway": "192.168.2.1"})) == {
        "wifi.sta_gateway": "must lie in the network of wifi.sta_static_ip, which is 192.168.1.0/24"
    }


@pytest.mark.parametrize(
    ("mask", "network"), [("255.255.255.252", "192.168.1.20/30"), ("255.255.255.255", "192.168.1.20/32")]
)
def test_the_netmask_decides_who_is_a_neighbour(mask: str, network: str, complaints: Complaints) -> None:
    """The network of the message follows from the netmask."""
    (message,) = complaints(wifi(**STATIC, sta_subnet=mask)).values()

    assert message.endswith(f"which is {network}")


def test_wide_netmasks_are_accepted(complaints: Complaints) -> None:
    """A gateway far away is a neighbour in a wide network."""
    assert complaints(wifi(**{**STATIC, "sta_gateway": "192.168.254.1"}, sta_subnet="255.255.0.0")) == {}


def test_a_fallback_access_point_needs_a_password(complaints: Complaints) -> None:
    """There is no published password to fall back on."""
    assert complaints(wifi(ap_fallback={"enabled": True})) == {
        "wifi.ap_fallback.password": "must be given (8 to 63 characters), because wifi.ap_fallback.enabled "
        "asks for an access point"
    }


@pytest.mark.parametrize("mode", ["ap", "both"])
def test_an_access_point_needs_name_and_password(mode: str, complaints: Complaints) -> None:
    """The role asks for an access point as much as the fallback does."""
    assert complaints(wifi(mode=mode, ap_fallback={"ssid": ""})) == {
        "wifi.ap_fallback.ssid": "must be given, because wifi.mode asks for an access point",
        "wifi.ap_fallback.password": "must be given (8 to 63 characters), because wifi.mode asks for an access point",
    }


def test_an_access_point_with_password_is_accepted(complaints: Complaints) -> None:
    """The README's own sample has all that is needed."""
    assert complaints(wifi(mode="ap", ap_fallback={"enabled": True, "password": "long enough"})) == {}


def test_a_broker_password_needs_a_user(complaints: Complaints) -> None:
    """MQTT 3.1.1 has no password without a user name."""
    assert complaints({"mqtt": {"password": "x"}}) == {"mqtt.username": "must be given, because mqtt.password is given"}
    assert complaints({"mqtt": {"username": "u", "password": "x"}}) == {}
    assert complaints({"mqtt": {"username": "u"}}) == {}


@pytest.mark.parametrize("key", ["websocket_update_interval_ms", "websocket_burst_window_ms"])
def test_live_intervals_are_not_below_the_shortest(key: str, complaints: Complaints) -> None:
    """The throttle would contradict the update interval."""
    document = {"web_server": {"websocket_min_interval_ms": 500, key: 400}}

    assert complaints(document) == {
        f"web_server.{key}": "must be at least web_server.websocket_min_interval_ms, which is 500 ms"
    }


def test_syslog_needs_a_server(complaints: Complaints) -> None:
    """Switched on without a server it would send nothing, silently."""
    assert complaints({"logging": {"output_syslog": True}}) == {
        "logging.syslog_server": "must be given, because logging.output_syslog is true"
    }
    assert complaints({"logging": {"output_syslog": True, "syslog_server": "logs"}}) == {}

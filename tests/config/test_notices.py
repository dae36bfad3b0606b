import json
from collections.abc import Callable
from typing import Any

import pytest

from tinybms_bridge.config.keys import Key
from tinybms_bridge.config.loader import parse
from tinybms_bridge.config.notices import Notice
from tinybms_lab.testing.words import said

Nested = Callable[[str, object], dict[str, Any]]


def remarks(document: object) -> dict[str, str]:
    """Return the notices of a good document by path."""
    _, notices = parse(json.dumps(document), "a.json")
    return {notice.path: notice.message.text for notice in notices}


def test_the_defaults_need_no_remark() -> None:
    """An empty file is silent."""
    assert remarks({}) == {}


def test_keys_without_a_use_on_linux_are_told(leaves: dict[str, Key], nested: Nested) -> None:
    """The firmware's file is accepted, but nobody should wonder why a key does nothing."""
    without_use = {path: key for path, key in leaves.items() if key.meaning.no_effect}

    assert set(without_use) == {
        "hardware.uart.rx_pin",
        "hardware.uart.tx_pin",
        "hardware.can.rx_pin",
        "hardware.can.tx_pin",
        "hardware.can.termination",
        "tinybms.broadcast_expected",
        "victron.keepalive_interval_ms",
        "logging.serial_baudrate",
        "logging.output_sd",
        "web_server.username",
        "web_server.password",
        "advanced.enable_spiffs",
        "advanced.enable_ota",
        "advanced.stack_size_bytes",
    }
    for path, key in without_use.items():
        value = "" if key.is_secret else key.default
        assert remarks(nested(path, value)) == {path: str(key.meaning.no_effect)}


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"wifi": {"sta_ssid": "Home"}}, "wifi"),
        ({"wifi": {"ap_fallback": {"channel": 11}}}, "wifi"),
    ],
)
def test_sections_without_a_service_are_told(document: dict[str, Any], path: str) -> None:
    """Nobody should wait for a network that nothing joins; once, not for each key."""
    (found,) = remarks(document).items()
    assert found[0] == path
    assert found[1].startswith("no effect yet: ")


def test_sections_that_ask_for_nothing_are_silent() -> None:
    """The firmware's file names every key, also of what is off."""
    assert remarks({"mqtt": {"enabled": False, "port": 1883}, "wifi": {"sta_ip_mode": "dhcp"}}) == {}


@pytest.mark.parametrize("key", [{"uart": {"baudrate": 19_200}}, {"uart_baudrate": 19_200}])
def test_a_line_speed_that_no_bms_has_is_told(key: dict[str, Any]) -> None:
    """The README's 19200, nested or flat, does not reach a real BMS: who wrote it learns what is used."""
    (message,) = remarks({"hardware": key}).values()
    assert "19200 is read as 115200" in message
    assert remarks({"hardware": {"uart": {"baudrate": 115_200}}}) == {}


def test_sustain_above_the_lower_bound_is_told() -> None:
    """Discharging down to 10 % was asked for, but from 12 % on there is little of it."""
    sustain = {"sustain_soc_entry_percent": 12, "sustain_soc_exit_percent": 15}
    assert remarks({"cvl": {"soc_min_percent": 10, **sustain}}) == {
        "cvl.sustain_soc_entry_percent": "SUSTAIN begins at 12 %, not below cvl.soc_min_percent, where discharging "
        "ends (10 %): from there on at most 5 A are discharged, and a tenth of the capacity charged an hour"
    }
    assert remarks({"cvl": {"soc_min_percent": 20, **sustain}}) == {}
    assert remarks({"cvl": sustain}) == {}


def test_slow_retries_are_told() -> None:
    """The firmware's 1000 ms lets one failed read stop the charging."""
    assert remarks({"hardware": {"uart": {"timeout_ms": 1000}}}) == {
        "hardware.uart.timeout_ms": "one failed read takes up to 3300 ms (3 attempts), as long as "
        "victron.fresh_timeout_s (3000 ms) or longer: it stops charging"
    }
    assert remarks({"hardware": {"uart": {"timeout_ms": 1000}}, "victron": {"fresh_timeout_s": 3.5}}) == {}


@pytest.mark.parametrize(("rate", "count"), [(250_000, 0), (500_000, 0), (1_000_000, 1), (125_000, 1)])
def test_bit_rates_that_no_gx_has_are_told(rate: int, count: int) -> None:
    """Another rate disturbs the whole bus."""
    assert len(remarks({"hardware": {"can": {"bitrate": rate}}})) == count


def test_loopback_is_told() -> None:
    """The README's test setting must not be forgotten."""
    assert list(remarks({"hardware": {"can": {"mode": "loopback"}}})) == ["hardware.can.mode"]


@pytest.mark.parametrize(
    "document",
    [
        {"wifi": {"ap_fallback": {"password": "tinybms123"}}},
        {"wifi": {"ap_fallback": {"password": "12345678"}}},
        {"web_server": {"password": "admin"}},
    ],
)
def test_published_passwords_are_told(document: dict[str, Any]) -> None:
    """Everybody who reads the README or the firmware knows them."""
    message = next(message for path, message in remarks(document).items() if path.endswith(".password"))

    assert message == "this password is printed in public documents; choose another one"


def test_notices_name_the_key_of_the_file() -> None:
    """As with problems: the user's own name."""
    assert set(remarks({"hardware": {"uart_baudrate": 19_200}})) == {"hardware.uart_baudrate"}


def test_a_notice_prints_with_its_place() -> None:
    """One line for a log."""
    assert str(Notice("a.b", said("is odd"))) == "a.b: is odd"
    assert str(Notice("", said("is odd"))) == "configuration: is odd"


@pytest.mark.parametrize(
    ("way", "path"),
    [
        ({"webhook": {"enabled": True, "url": "http://192.168.1.5/hook"}}, "webhook.url"),
        ({"ntfy": {"enabled": True, "url": "http://ntfy.lan", "topic": "boat"}}, "ntfy.url"),
        (
            {
                "email": {
                    "enabled": True,
                    "server": "mail.lan",
                    "security": "none",
                    "recipients": ["me@lan"],
                    "username": "me",
                    "password": "hush",
                }
            },
            "email.security",
        ),
    ],
)
def test_a_secret_that_goes_out_unencrypted_is_told(way: dict[str, Any], path: str) -> None:
    """Once it is on; within the machine nobody can read along."""
    (name,) = way
    assert remarks({"notifications": way})[f"notifications.{path}"].startswith("what is secret goes over the network")
    assert remarks({"notifications": {name: {**way[name], "enabled": False}}}) == {}
    here = {"url": "http://127.0.0.1:1"} if name != "email" else {"server": "localhost"}
    assert remarks({"notifications": {name: {**way[name], **here}}}) == {}
    safe = {"url": "https://example.org"} if name != "email" else {"security": "starttls"}
    assert remarks({"notifications": {name: {**way[name], **safe}}}) == {}

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.config.keys import keys_of
from tinybms_bridge.config.models import Wifi
from tinybms_bridge.config.validation import judge, lookup, shown_key, shown_value

SSID, PASSWORD = keys_of(Wifi)["sta_ssid"], keys_of(Wifi)["sta_password"]


def messages(document: dict[str, Any]) -> dict[str, str]:
    """Return the message for each path of a refused document."""
    verdict = judge(document)
    assert verdict.configuration is None
    assert len({problem.path for problem in verdict.problems}) == len(verdict.problems)
    return {problem.path: problem.message.text for problem in verdict.problems}


def test_a_good_document_gives_a_configuration() -> None:
    """The verdict carries the configuration itself."""
    verdict = judge({"cvl": {"float_soc_threshold": 96}})

    assert verdict.problems == ()
    assert verdict.configuration is not None
    assert verdict.configuration.cvl.float_soc_threshold == 96


def test_every_mistake_is_reported_at_once() -> None:
    """Nobody should have to start the bridge once for each slip."""
    found = messages(
        {
            "wifi": {"mode": "station", "sta_ip_mode": "static"},
            "hardware": {"can": {"bitrate": 500}},
            "cvl": {"float_soc_threshold": "high", "float_offset_mv": 10, "bulk": 80},
            "victron": 5,
            "mqqt": {},
        }
    )

    assert set(found) == {
        "wifi.mode",
        "wifi.sta_static_ip",
        "wifi.sta_gateway",
        "hardware.can.bitrate",
        "cvl.float_soc_threshold",
        "cvl.float_offset_mv",
        "cvl.bulk",
        "victron",
        "mqqt",
    }


def test_a_wrong_key_silences_checks_that_need_it() -> None:
    """With float_exit_soc unusable, comparing its default would only confuse."""
    found = messages({"cvl": {"float_exit_soc": "x", "float_soc_threshold": 90}})

    assert list(found) == ["cvl.float_exit_soc"]


def test_a_wrong_section_silences_checks_inside_it() -> None:
    """As above, for a whole section."""
    found = messages({"cvl": [], "tinybms": {"poll_interval_max_ms": 1501}})

    assert list(found) == ["cvl", "tinybms.poll_interval_max_ms"]


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        ({"wify": {}}, "wify", "unknown key; did you mean wifi?"),
        ({"Wifi": {}}, "Wifi", "unknown key; did you mean wifi?"),
        (
            {"cvl": {"bulk_soc_treshold": 80}},
            "cvl.bulk_soc_treshold",
            "unknown key; did you mean bulk_soc_threshold?",
        ),
        ({"mqtt": {"qos": 1}}, "mqtt.qos", "unknown key"),
        ({"cvl": {"overvoltage_v": 58}}, "cvl.overvoltage_v", 'unknown key here; it belongs to "victron.thresholds"'),
        (
            {"tinybms": {"port": 1}},
            "tinybms.port",
            'unknown key here; it belongs to "mqtt", "notifications.email" or "web_server"',
        ),
        ({"device": "x"}, "device", 'unknown key here; it belongs to "hardware.uart"'),
        ({"tinybms": {"timeout_ms": 5}}, "tinybms.timeout_ms", 'unknown key here; it belongs to "hardware.uart"'),
        ({"hardware": {"uart": {"baud_rate": 1}}}, "hardware.uart.baud_rate", "unknown key; did you mean baudrate?"),
    ],
)
def test_unknown_keys_get_a_hint(document: dict[str, Any], path: str, message: str) -> None:
    """A slip of the pen or of the section is answered with the right name."""
    assert messages(document) == {path: message}


def test_unknown_sections_get_the_list() -> None:
    """Where no name is near, all are named."""
    (message,) = messages({"zzz": {}}).values()

    assert message.startswith("unknown section; the sections are wifi, hardware, packs, battery, tinybms, victron")


def test_the_value_found_is_shown() -> None:
    """The user sees what was read, not only where."""
    (problem,) = judge({"cvl": {"float_soc_threshold": 105.5}}).problems

    assert problem.value == 105.5
    assert str(problem) == "cvl.float_soc_threshold = 105.5: must be a number from 0 to 100 %, or null"


def test_the_value_of_a_cross_check_is_shown() -> None:
    """Both numbers of a contradiction appear in one line."""
    (problem,) = judge({"cvl": {"float_soc_threshold": 90}}).problems

    assert str(problem) == ("cvl.float_soc_threshold = 90: must be above cvl.float_exit_soc, which is 92 %")


@pytest.mark.parametrize(
    "document",
    [
        {"wifi": {"sta_password": "hush"}},
        {"wifi": {"ap_fallback": {"password": 12345678}}},
        {"wifi": {"passwrd": "hush hush"}},
        {"mqtt": {"password": ["hush"]}},
        {"mqtt": {"uri": "mqtt://me:hush@broker"}},
        {"mqtt": "hush"},
        {"web_server": {"password": {"is": "hush"}}},
        {"hush": {"password": "hush"}},
    ],
)
def test_problems_never_show_secrets(document: dict[str, Any]) -> None:
    """Errors end up in logs and on pages: a password must not."""
    (problem,) = judge(document).problems

    assert problem.value is None
    assert "hush" not in problem.message.text
    assert "12345678" not in str(problem)


def test_a_section_that_is_a_text_is_not_shown() -> None:
    """A whole section pasted as text may hold a password."""
    (problem,) = judge({"mqtt": '{"password": "hush"}'}).problems

    assert problem.value is None


@given(st.text(max_size=100))
@settings(deadline=None)
def test_shown_keys_are_printable_and_short(key: str) -> None:
    """A stranger's key must not break a terminal or a log line."""
    shown = shown_key(key)

    assert shown.isprintable()
    assert len(shown) <= 60


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Home", "Home"),
        (5, 5),
        (True, True),
        (1.5, 1.5),
        (None, None),
        ([1], None),
        ({"a": 1}, None),
        ("x" * 61, "x" * 59 + "…"),
        ("me@host", None),
        ("-----BEGIN CERTIFICATE-----", None),
        (10**70, None),
    ],
)
def test_shown_values_are_harmless(value: object, shown: object) -> None:
    """Only short plain values are repeated in a message."""
    assert shown_value(value, SSID) == shown


def test_values_without_a_field_or_of_a_secret_are_not_shown() -> None:
    """Unknown keys may be misspelt passwords."""
    assert shown_value("x", None) is None
    assert shown_value("x", PASSWORD) is None


def test_lookup_goes_down_objects_only() -> None:
    """A missing key or a value on the way is None."""
    document = {"a": {"b": 5}, "c": [1]}

    assert lookup(document, ("a", "b")) == 5
    assert lookup(document, ("a", "x")) is None
    assert lookup(document, ("a", "b", "c")) is None
    assert lookup(document, ("c", "0")) is None

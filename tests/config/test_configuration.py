import json
import math
import traceback
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from pydantic import ValidationError

from tinybms_bridge.config.configuration import Configuration
from tinybms_bridge.config.keys import Key, keys_of
from tinybms_bridge.config.loader import interpret
from tinybms_bridge.config.models.base import MASK, Secret
from tinybms_bridge.config.validation import CHECKER, judge, lookup
from tinybms_bridge.config.values import public_values, values_of
from tinybms_bridge.errors import ConfigError

Leaves = dict[str, Key]
Nested = Callable[[str, object], dict[str, Any]]


def configured(document: dict[str, Any]) -> Configuration:
    """Return the configuration that a document means."""
    return interpret(document, "test").configuration


def value_at(configuration: Configuration, path: str) -> object:
    """Return the value at a dotted path."""
    value: object = configuration
    for key in path.split("."):
        value = getattr(value, key)
    return value


def is_accepted(document: dict[str, Any]) -> bool:
    """Tell whether each key by itself is right; checks across keys do not count."""
    try:
        CHECKER.validate_python(document)
    except ValidationError:
        return False
    return True


def numbers(leaves: Leaves) -> list[tuple[str, Key, float, float]]:
    """Return the keys with a range: path, key, lowest and highest value."""
    return [(path, key, *key.range) for path, key in leaves.items() if key.range is not None]


def test_the_defaults_are_a_working_configuration() -> None:
    """A bridge without a file must start: the defaults pass every check, and have the types of checked values."""
    configuration = Configuration()
    written = values_of(configuration)

    assert judge(written).configuration == configuration
    assert repr(judge(written).configuration) == repr(configuration)
    assert configuration.cvl.enabled
    assert configuration.hardware.can.bitrate == 500_000


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("hardware.uart.device", "/dev/ttyUSB0"),
        ("hardware.uart.baudrate", 115_200),
        ("hardware.uart.timeout_ms", 300),
        ("hardware.can.interface", "socketcan"),
        ("hardware.can.channel", ""),
        ("hardware.can.bitrate", 500_000),
        ("tinybms.poll_interval_ms", 100),
        ("tinybms.poll_interval_min_ms", 100),
        ("tinybms.poll_interval_max_ms", 1000),
        ("tinybms.uart_retry_count", 3),
        ("tinybms.uart_retry_delay_ms", 100),
        ("victron.pgn_update_interval_ms", 1000),
        ("victron.cvl_update_interval_ms", 20_000),
        ("victron.current_fraction", 0.9),
        ("victron.send_discharge_voltage", True),
        ("victron.system_status", 0),
        ("victron.stale_hold_s", 30.0),
        ("victron.fresh_timeout_s", 3.0),
        ("victron.start_samples", 3),
        ("victron.return_samples", 3),
        ("cvl.bulk_soc_threshold", 80.0),
        ("cvl.transition_soc_threshold", 85.0),
        ("cvl.soc_hysteresis_percent", 0.5),
        ("cvl.float_approach_offset_mv", 50.0),
        ("cvl.imbalance_hold_threshold_mv", 50.0),
        ("cvl.imbalance_release_threshold_mv", 20.0),
        ("cvl.imbalance_hold_max_s", 14_400.0),
        ("cvl.over_voltage_margin_v", 0.1),
        ("cvl.chemistry", "auto"),
        ("logging.log_level", "INFO"),
        ("advanced.watchdog_timeout_s", 30),
        ("advanced.energy_save_interval_s", 60),
        ("advanced.state_directory", ""),
        ("wifi.ap_fallback.enabled", False),
    ],
)
def test_defaults_follow_the_stated_precedence(path: str, expected: object) -> None:
    """Vendor and Victron win over the README, the README over the firmware."""
    assert value_at(Configuration(), path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "cvl.bulk_voltage_v",
        "cvl.series_cell_count",
        "cvl.cell_max_voltage_v",
        "cvl.cell_safety_threshold_v",
        "cvl.cell_safety_release_v",
        "cvl.floor_cell_voltage_v",
        "cvl.resting_cell_voltage_v",
        "cvl.sustain_per_cell_voltage_v",
        "victron.max_charge_current_a",
        "victron.max_discharge_current_a",
        "victron.thresholds.overvoltage_v",
        "victron.thresholds.undervoltage_v",
        "victron.thresholds.overtemp_c",
        "victron.thresholds.low_temp_charge_c",
        "victron.thresholds.imbalance_warn_mv",
        "victron.thresholds.imbalance_alarm_mv",
    ],
)
def test_values_of_one_chemistry_or_pack_come_from_the_bms(path: str) -> None:
    """No default may fit only one chemistry or one number of cells."""
    assert value_at(Configuration(), path) is None


def test_null_always_means_the_default(leaves: Leaves) -> None:
    """A patch takes a key away with null: that must be the same as the value null."""
    for path, key in leaves.items():
        assert not key.nullable or key.default is None, path


def test_every_key_is_explained(leaves: Leaves) -> None:
    """Settings page and documentation are made from title and description: one English sentence each."""
    for path, key in leaves.items():
        assert key.meaning.title, path
        assert key.meaning.title[0].isupper(), path
        assert key.meaning.help.endswith("."), path
        assert 10 < len(key.meaning.help) < 130, path


def test_every_number_has_a_range_and_names_its_unit(leaves: Leaves) -> None:
    """A number without bounds or with a unit other than that of its name would mislead."""
    units = {"_ms": "ms", "_s": "s", "_v": "V", "_a": "A", "_mv": "mV", "_c": "°C", "_percent": "%", "_bytes": "B"}
    for path, key in leaves.items():
        if key.type in (int, float):
            assert key.range or key.choices, path
            suffix = next((suffix for suffix in units if path.endswith(suffix) and "_per_" not in path), None)
            assert suffix is None or key.meaning.unit == units[suffix], path


def test_limits_of_ranges_are_accepted(leaves: Leaves, nested: Nested) -> None:
    """Both ends of a range belong to it."""
    for path, _key, low, high in numbers(leaves):
        assert is_accepted(nested(path, low)), path
        assert is_accepted(nested(path, high)), path


def test_values_beyond_ranges_are_refused(leaves: Leaves, nested: Nested) -> None:
    """No number outside its range can be put in force."""
    for path, key, low, high in numbers(leaves):
        step = 1 if key.type is int else 0.0001
        assert not is_accepted(nested(path, low - step)), path
        assert not is_accepted(nested(path, high + step)), path


def test_whole_numbers_are_good_decimals(leaves: Leaves, nested: Nested) -> None:
    """JSON writes 80 for 80.0: every decimal key must accept it."""
    decimals = [(path, low, high) for path, key, low, high in numbers(leaves) if key.type is float]
    for path, low, high in decimals:
        whole = math.ceil(low)
        assert whole > high or is_accepted(nested(path, whole)), path
    assert len(decimals) > 30


def test_a_whole_number_becomes_a_decimal() -> None:
    """Code that formats or divides must find a float, whatever the file wrote."""
    configuration = configured({"cvl": {"bulk_soc_threshold": 80}})

    assert isinstance(configuration.cvl.bulk_soc_threshold, float)


@pytest.mark.parametrize("wrong", [True, "80", "", [80], {"value": 80}, math.nan, math.inf, -math.inf])
def test_nothing_else_is_taken_for_a_number(wrong: object, leaves: Leaves, nested: Nested) -> None:
    """Switches, texts, lists and not-a-number must never become a limit."""
    for path, _key, _low, _high in numbers(leaves):
        assert not is_accepted(nested(path, wrong)), path


@pytest.mark.parametrize("wrong", [0, 1, "true", "", None, 1.0])
def test_nothing_else_is_taken_for_a_switch(wrong: object, leaves: Leaves, nested: Nested) -> None:
    """A 1 or a "false" must not switch something on."""
    for path, key in leaves.items():
        if key.type is bool:
            assert not is_accepted(nested(path, wrong)), path


@pytest.mark.parametrize("wrong", [0, True, None, ["x"], 1.5])
def test_nothing_else_is_taken_for_a_text(wrong: object, leaves: Leaves, nested: Nested) -> None:
    """Numbers are not names or passwords."""
    for path, key in leaves.items():
        if key.type in (str, Secret):
            assert not is_accepted(nested(path, wrong)), path


@pytest.mark.parametrize("wrong", [None, 1, "x", [], True])
def test_a_section_must_be_an_object(wrong: object) -> None:
    """A section of another type must not be dropped in silence."""
    for section in keys_of(Configuration):
        assert not is_accepted({section: wrong}), section


def test_values_never_change() -> None:
    """Readers keep references across threads: the configuration must be immutable."""
    configuration = Configuration()

    with pytest.raises(FrozenInstanceError):
        configuration.cvl.enabled = False  # type: ignore[misc]  # what must not work


def test_cvl_algorithm_is_another_name_of_cvl() -> None:
    """Files with the firmware's name of the section must mean the same."""
    one = configured({"cvl_algorithm": {"bulk_soc_threshold": 70}})
    other = configured({"cvl": {"bulk_soc_threshold": 70}})

    assert one == other
    assert one.cvl.bulk_soc_threshold == 70


def test_both_names_of_cvl_are_refused() -> None:
    """With two sections nobody knows which one counts."""
    with pytest.raises(ConfigError, match="cvl: is the same section as another one"):
        configured({"cvl_algorithm": {}, "cvl": {}})


def test_cross_checks_hold_for_documents_made_in_code() -> None:
    """Not only files are checked: no document becomes a contradictory configuration."""
    with pytest.raises(ConfigError, match=r"cvl\.float_exit_soc = 96: must be below cvl\.float_soc_threshold"):
        configured({"cvl": {"float_exit_soc": 96}})


SECRETS: dict[str, Any] = {
    "wifi": {"sta_password": "alpha-secret", "ap_fallback": {"password": "beta-secret"}},
    "mqtt": {"username": "bridge", "password": "gamma-secret", "client_key": "-----BEGIN PRIVATE KEY-----secret"},
    "web_server": {"password": "delta-secret"},
    "metrics": {"token": "epsilon-secret-of-many-characters"},
    "notifications": {
        "webhook": {"url": "https://hooks.example.org/epsilon-secret", "token": "zeta-secret"},
        "ntfy": {"topic": "eta-secret", "token": "theta-secret"},
        "email": {"username": "bridge", "password": "iota-secret"},
    },
}


def test_public_values_mask_every_secret(leaves: Leaves) -> None:
    """The API and `check --show` must not give a password away."""
    configuration = configured(SECRETS)
    public: Any = public_values(configuration)

    secrets = [path for path, key in leaves.items() if key.is_secret]

    assert len(secrets) >= 9
    assert {path: lookup(public, path.split(".")) for path in secrets} == dict.fromkeys(secrets, MASK)
    assert "secret" not in json.dumps(public)


def test_public_values_tell_unset_secrets_from_set_ones() -> None:
    """A settings page must know whether a password is set at all."""
    public: Any = public_values(Configuration())

    assert public["wifi"]["sta_password"] == ""


def test_public_values_are_a_configuration() -> None:
    """What `check --show` prints can be used as a file (without the secrets)."""
    public = public_values(Configuration())

    assert configured(json.loads(json.dumps(public))) == Configuration()


def test_secrets_never_print() -> None:
    """A configuration in a log line or a traceback must not show a password."""
    configuration = configured(SECRETS)

    assert "secret" not in repr(configuration).replace("Secret", "")
    assert "secret" not in str(configuration).replace("Secret", "")


def test_errors_do_not_show_secrets() -> None:
    """Not even a traceback, which shows errors behind the error, may give a password away."""
    with pytest.raises(ConfigError) as caught:
        configured({"wifi": {"sta_password": "hushhh", "ap_fallback": {"password": "tinyyy"}}})

    shown = "".join(traceback.format_exception(caught.value))
    assert "wifi.ap_fallback.password" in shown
    assert "hushhh" not in shown.replace('"hushhh"', "")  # the line of this test
    assert "tinyyy" not in shown.replace('"tinyyy"', "")

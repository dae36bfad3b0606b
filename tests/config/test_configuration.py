import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

from tinybms_bridge.config.configuration import MASK, Configuration
from tinybms_bridge.config.expectations import choices, extra, is_nullable, is_secret, value_range, value_types

Leaves = dict[str, FieldInfo]
Nested = Callable[[str, object], dict[str, Any]]


def value_at(configuration: Configuration, path: str) -> object:
    """Return the value at a dotted path."""
    value: object = configuration
    for key in path.split("."):
        value = getattr(value, key)
    return value


def is_accepted(document: dict[str, Any]) -> bool:
    """Tell whether each key by itself is right; checks across keys do not count."""
    try:
        Configuration.model_validate(document)
    except ValidationError as error:
        return all(detail["type"] == "cross_check" for detail in error.errors())
    return True


def numbers(leaves: Leaves) -> list[tuple[str, FieldInfo, float, float]]:
    """Return the keys with a range: path, field, lowest and highest value."""
    found = []
    for path, field in leaves.items():
        bounds = value_range(field)
        if bounds is not None:
            found.append((path, field, *bounds))
    return found


def test_the_defaults_are_a_working_configuration() -> None:
    """A bridge without a file must start: the defaults pass every check."""
    configuration = Configuration()

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
        "cvl.cell_min_float_voltage_v",
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
    for path, field in leaves.items():
        assert not is_nullable(field) or field.get_default() is None, path


def test_every_key_is_explained(leaves: Leaves) -> None:
    """Settings page and documentation are made from title and description: one English sentence each."""
    for path, field in leaves.items():
        assert field.title, path
        assert field.title[0].isupper(), path
        assert field.description, path
        assert field.description.endswith("."), path
        assert 10 < len(field.description) < 130, path


def test_every_number_has_a_range_and_names_its_unit(leaves: Leaves) -> None:
    """A number without bounds or with a unit other than that of its name would mislead."""
    units = {"_ms": "ms", "_s": "s", "_v": "V", "_a": "A", "_mv": "mV", "_c": "°C", "_percent": "%", "_bytes": "B"}
    for path, field in leaves.items():
        (kind, *_) = value_types(field)
        if kind in (int, float):
            assert value_range(field) or choices(field), path
            suffix = next((suffix for suffix in units if path.endswith(suffix) and "_per_" not in path), None)
            assert suffix is None or extra(field, "unit") == units[suffix], path


def test_limits_of_ranges_are_accepted(leaves: Leaves, nested: Nested) -> None:
    """Both ends of a range belong to it."""
    for path, _field, low, high in numbers(leaves):
        assert is_accepted(nested(path, low)), path
        assert is_accepted(nested(path, high)), path


def test_values_beyond_ranges_are_refused(leaves: Leaves, nested: Nested) -> None:
    """No number outside its range can be put in force."""
    for path, field, low, high in numbers(leaves):
        step = 1 if int in value_types(field) else 0.0001
        assert not is_accepted(nested(path, low - step)), path
        assert not is_accepted(nested(path, high + step)), path


def test_whole_numbers_are_good_decimals(leaves: Leaves, nested: Nested) -> None:
    """JSON writes 80 for 80.0: every decimal key must accept it."""
    decimals = [(path, low, high) for path, field, low, high in numbers(leaves) if float in value_types(field)]
    for path, low, high in decimals:
        whole = math.ceil(low)
        assert whole > high or is_accepted(nested(path, whole)), path
    assert len(decimals) > 30


def test_a_whole_number_becomes_a_decimal() -> None:
    """Code that formats or divides must find a float, whatever the file wrote."""
    configuration = Configuration.model_validate({"cvl": {"bulk_soc_threshold": 80}})

    assert isinstance(configuration.cvl.bulk_soc_threshold, float)


@pytest.mark.parametrize("wrong", [True, "80", "", [80], {"value": 80}, math.nan, math.inf, -math.inf])
def test_nothing_else_is_taken_for_a_number(wrong: object, leaves: Leaves, nested: Nested) -> None:
    """Switches, texts, lists and not-a-number must never become a limit."""
    for path, _field, _low, _high in numbers(leaves):
        assert not is_accepted(nested(path, wrong)), path


@pytest.mark.parametrize("wrong", [0, 1, "true", "", None, 1.0])
def test_nothing_else_is_taken_for_a_switch(wrong: object, leaves: Leaves, nested: Nested) -> None:
    """A 1 or a "false" must not switch something on."""
    for path, field in leaves.items():
        if value_types(field)[0] is bool:
            assert not is_accepted(nested(path, wrong)), path


@pytest.mark.parametrize("wrong", [0, True, None, ["x"], 1.5])
def test_nothing_else_is_taken_for_a_text(wrong: object, leaves: Leaves, nested: Nested) -> None:
    """Numbers are not names or passwords."""
    for path, field in leaves.items():
        if value_types(field)[0] in (str, SecretStr):
            assert not is_accepted(nested(path, wrong)), path


@pytest.mark.parametrize("wrong", [None, 1, "x", [], True])
def test_a_section_must_be_an_object(wrong: object) -> None:
    """A section of another type must not be dropped in silence."""
    for section in Configuration.model_fields:
        assert not is_accepted({section: wrong}), section


def test_values_never_change() -> None:
    """Readers keep references across threads: the configuration must be immutable."""
    configuration = Configuration()

    with pytest.raises(ValidationError):
        configuration.cvl.enabled = False


def test_cvl_algorithm_is_another_name_of_cvl() -> None:
    """Files with the firmware's name of the section must mean the same."""
    one = Configuration.model_validate({"cvl_algorithm": {"bulk_soc_threshold": 70}})
    other = Configuration.model_validate({"cvl": {"bulk_soc_threshold": 70}})

    assert one == other
    assert one.cvl.bulk_soc_threshold == 70


def test_both_names_of_cvl_are_refused() -> None:
    """With two sections nobody knows which one counts."""
    with pytest.raises(ValidationError, match="cvl_algorithm"):
        Configuration.model_validate({"cvl_algorithm": {}, "cvl": {}})


def test_cross_checks_hold_for_configurations_made_in_code() -> None:
    """Not only files are checked: nobody can build a contradictory configuration."""
    with pytest.raises(ValidationError, match=r"cvl\.float_soc_threshold: must be above cvl\.float_exit_soc"):
        Configuration.model_validate({"cvl": {"float_exit_soc": 96}})


SECRETS: dict[str, Any] = {
    "wifi": {"sta_password": "alpha-secret", "ap_fallback": {"password": "beta-secret"}},
    "mqtt": {"username": "bridge", "password": "gamma-secret"},
    "web_server": {"password": "delta-secret"},
}


def test_public_dict_masks_every_secret(leaves: Leaves) -> None:
    """The API and `check --show` must not give a password away."""
    configuration = Configuration.model_validate(SECRETS)
    public: Any = configuration.public_dict()

    assert public["wifi"]["sta_password"] == MASK
    assert public["wifi"]["ap_fallback"]["password"] == MASK
    assert public["mqtt"]["password"] == MASK
    assert public["web_server"]["password"] == MASK
    assert "secret" not in json.dumps(public)
    assert sum(is_secret(field) for field in leaves.values()) == 4


def test_public_dict_tells_unset_secrets_from_set_ones() -> None:
    """A settings page must know whether a password is set at all."""
    public: Any = Configuration().public_dict()

    assert public["wifi"]["sta_password"] == ""


def test_public_dict_is_a_configuration() -> None:
    """What `check --show` prints can be used as a file (without the secrets)."""
    public = Configuration().public_dict()

    assert Configuration.model_validate(json.loads(json.dumps(public))) == Configuration()


def test_secrets_never_print() -> None:
    """A configuration in a log line or a traceback must not show a password."""
    configuration = Configuration.model_validate(SECRETS)

    assert "secret" not in repr(configuration).replace("SecretStr", "")
    assert "secret" not in str(configuration).replace("SecretStr", "")


def test_pydantic_errors_do_not_show_values() -> None:
    """Even an error that escapes our translation must not show a password."""
    with pytest.raises(ValidationError) as caught:
        Configuration.model_validate({"wifi": {"sta_password": "short", "ap_fallback": {"password": "tiny"}}})

    assert "short" not in str(caught.value)
    assert "tiny" not in str(caught.value)

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.settings import RawRange, all_settings, allowed_values, parse_number, parse_text, range_text
from tinybms_bridge.tinybms.settings.fields import by_name
from tinybms_bridge.tinybms.settings.values import encode, shown_value


def documented(name: str) -> RawRange:
    """Return the vendor's range of a setting."""
    return RawRange(*by_name(name).register.raw_range, "vendor")


def put(name: str, value: object, low: int | None = None, high: int | None = None) -> tuple[int, ...]:
    """Encode within the vendor's range, or the BMS's own where it is given."""
    allowed = documented(name) if low is None or high is None else RawRange(low, high, "bms")
    return encode(by_name(name), value, allowed)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("over_voltage_cutoff_v", 3.8, (3800,)),
        ("over_voltage_cutoff_v", 4, (4000,)),
        ("charger_startup_delay_s", 20, (20,)),
        ("charger_startup_delay_s", 20.0, (20,)),
        ("low_temperature_charger_cutoff_c", -20, (0x10000 - 20,)),
        ("pulses_per_unit", 100000, (0x86A0, 1)),
        ("discharge_over_current_timeout_s", 5, (5 << 8,)),
        ("charger_switch_type", "aido1", (2,)),
        ("load_switch_type", "aido1", (1,)),
        ("enable_charger_restart_level", "enabled", (0b100,)),
    ],
)
def test_values_become_registers(name: str, value: object, words: tuple[int, ...]) -> None:
    """Scale, sign, place in the word and the odd numbering of the choices."""
    assert put(name, value) == words


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("over_voltage_cutoff_v", 3800, "allowed are numbers 1.2 to 4.5 V"),
        ("over_voltage_cutoff_v", 1.199, "allowed are numbers 1.2 to 4.5 V"),
        ("charger_startup_delay_s", 20.5, "allowed are whole numbers 5 to 60 s"),
        ("series_cells", 17, "allowed are whole numbers 4 to 16 cells"),
        ("low_temperature_charger_cutoff_c", -41, "allowed are whole numbers -40 to 10 °C"),
        ("pulses_per_unit", 0, "allowed are whole numbers 1 to 100000 pulses"),
        ("over_voltage_cutoff_v", math.nan, "allowed are numbers 1.2 to 4.5 V"),
        ("over_voltage_cutoff_v", math.inf, "allowed are numbers 1.2 to 4.5 V"),
        ("over_voltage_cutoff_v", 10**400, "allowed are numbers 1.2 to 4.5 V"),
        ("over_voltage_cutoff_v", "3.8", "is not a number; allowed are numbers 1.2 to 4.5 V"),
        ("over_voltage_cutoff_v", True, "is not a number; allowed are numbers 1.2 to 4.5 V"),
        ("over_voltage_cutoff_v", None, "is not a number; allowed are numbers 1.2 to 4.5 V"),
        ("over_voltage_cutoff_v", [3.8], "is not a number; allowed are numbers 1.2 to 4.5 V"),
        ("distance_unit", "furlong", "allowed are meter, kilometer, feet, mile, yard"),
        ("distance_unit", 2, "is not a text; allowed are meter, kilometer, feet, mile, yard"),
        ("enable_charger_restart_level", True, "is not a text; allowed are disabled, enabled"),
        ("precharge_pin", "unknown (1)", "allowed are disabled, discharge_fet"),
    ],
)
def test_what_a_register_cannot_hold_is_refused(name: str, value: object, message: str) -> None:
    """Out of range, between two steps, no number, a wrong choice, a raw number in place of a choice."""
    with pytest.raises(ValueError, match="allowed") as error:
        put(name, value)

    assert str(error.value).startswith(message)


def test_the_range_of_the_bms_decides() -> None:
    """Narrower or wider than the vendor's document: the BMS knows its board and its sensor."""
    assert put("discharge_over_current_cutoff_a", 60, 1, 60) == (60,)
    with pytest.raises(ValueError, match="allowed by the BMS are whole numbers 1 to 60 A"):
        put("discharge_over_current_cutoff_a", 61, 1, 60)
    assert put("charge_finished_current_a", 9.0, 100, 10000) == (9000,)


def test_the_bms_narrows_choices_too() -> None:
    """A low-power board has fewer switches than the vendor's table."""
    assert put("load_switch_type", "fet", 0, 0) == (0,)
    with pytest.raises(ValueError, match=r"allowed by the BMS are fet, aido1$"):
        put("load_switch_type", "aido2", 0, 1)


@given(st.sampled_from(sorted(all_settings())), st.data())
def test_what_a_setting_shows_can_be_written_back(name: str, data: st.DataObject) -> None:
    """A backup holds decoded values: each must come back as the same bits."""
    setting = by_name(name)
    low, high = setting.register.raw_range
    raw = data.draw(st.sampled_from(sorted(setting.choices)) if setting.choices else st.integers(low, high))
    table = setting.put([0] * 44, setting.register.encode(setting.choices.get(raw, raw * setting.register.scale)))

    words = encode(setting, setting.value(table), documented(name))

    assert setting.put([0] * 44, words) == table


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("over_voltage_cutoff_v", "3.8", 3.8),
        ("over_voltage_cutoff_v", " 4 ", 4),
        ("low_temperature_charger_cutoff_c", "-5", -5),
        ("distance_unit", "mile", "mile"),
        ("distance_unit", "2", "2"),
    ],
)
def test_typed_text_becomes_a_value(name: str, text: str, value: object) -> None:
    """Numbers for numbers, words for choices; a choice is never a raw number."""
    assert parse_text(by_name(name), text) == value


@pytest.mark.parametrize(("name", "unit"), [("over_voltage_cutoff_v", " in V"), ("precharge_pin", None)])
def test_text_that_is_no_number_is_explained(name: str, unit: str | None) -> None:
    """The unit stands in the name, not in the value."""
    if unit is None:
        assert parse_text(by_name(name), "3.8V") == "3.8V"
        return
    with pytest.raises(ValueError, match=f"is not a number{unit}, without the unit"):
        parse_text(by_name(name), "3.8V")


@pytest.mark.parametrize(
    ("text", "value"), [("80", 80), ("80.5", 80.5), ("single_port", "single_port"), ("", ""), ("80 %", "80 %")]
)
def test_numbers_are_recognised_in_text(text: str, value: object) -> None:
    """An action takes a number or a word."""
    assert parse_number(text) == value
    assert type(parse_number(text)) is type(value)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "V", "-"),
        (3.8, "V", "3.8 V"),
        (100000, "pulses", "100000 pulses"),
        (-20, "°C", "-20 °C"),
        ("fet", "", "fet"),
        (0.015, "", "0.015"),
    ],
)
def test_values_are_shown_without_noise(value: float | str | None, unit: str, text: str) -> None:
    """No 3.8000000001, no exponent."""
    assert shown_value(value, unit) == text


def test_ranges_are_shown_and_exported() -> None:
    """A table wants text, a program wants numbers."""
    cells, unit = by_name("series_cells"), by_name("distance_unit")

    assert range_text(cells, documented("series_cells")) == "4 to 16"
    assert allowed_values(cells, documented("series_cells")) == [4, 16]
    assert range_text(unit, RawRange(1, 2, "bms")) == "meter, kilometer"
    assert allowed_values(unit, RawRange(1, 2, "bms")) == ["meter", "kilometer"]
    assert allowed_values(by_name("over_voltage_cutoff_v"), documented("over_voltage_cutoff_v")) == [1.2, 4.5]

"""The values of a scenario file: what is taken, and in which words the rest is refused."""

from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict, TypeAdapter, ValidationError

from tinybms_lab.bms.scenario_values import (
    CellNumbers,
    Choice,
    Choices,
    Duration,
    NamedSettings,
    Settings,
    Text,
    Within,
)

STRICT = ConfigDict(strict=True)
NUMBER = TypeAdapter(Annotated[float, Within(-5, 5)], config=STRICT)
PERCENT = TypeAdapter(Annotated[float, Within(0, 100, scale=0.01)], config=STRICT)
WHOLE = TypeAdapter(Annotated[int, Within(1, 16)], config=STRICT)
TEXT = TypeAdapter(Text, config=STRICT)
ONE = TypeAdapter(Annotated[str, Choice({"low": "L", "high": "H", 242: "B"})], config=STRICT)
SEVERAL = TypeAdapter(Annotated[tuple[str, ...], Choices({"load": 1, "charger": 2})], config=STRICT)
BY_CELL = TypeAdapter(Annotated[dict[int, Annotated[float, Within(0, 100)]], CellNumbers()], config=STRICT)
DURATION = TypeAdapter(Duration, config=STRICT)
SETTINGS = TypeAdapter(Settings)
ALL: dict[str, TypeAdapter[Any]] = {
    "number": NUMBER,
    "percent": PERCENT,
    "whole": WHOLE,
    "text": TEXT,
    "one": ONE,
    "several": SEVERAL,
    "by cell": BY_CELL,
    "duration": DURATION,
    "settings": SETTINGS,
}
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)


def refusal(adapter: TypeAdapter[Any], value: object) -> str:
    """Return why a value is refused; empty when it is taken."""
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        return error.errors()[0]["msg"].removeprefix("Value error, ")
    return ""


@pytest.mark.parametrize("adapter", ALL.values(), ids=list(ALL))
@given(value=ANYTHING)
def test_whatever_a_file_holds_is_taken_or_refused_with_a_reason(adapter: TypeAdapter[Any], value: object) -> None:
    """No other exception, so that all mistakes can be told together."""
    assert len(refusal(adapter, value)) not in range(1, 10)


@pytest.mark.parametrize(
    ("adapter", "value", "used"),
    [
        (NUMBER, 2, 2.0),
        (NUMBER, -5.0, -5.0),
        (PERCENT, 25, 0.25),
        (WHOLE, 16, 16),
        (TEXT, "a note", "a note"),
        (ONE, "low", "L"),
        (ONE, 242, "B"),
        (SEVERAL, ["load", "charger", "charger"], (1, 2, 2)),
        (SEVERAL, [], ()),
        (BY_CELL, {"7": 12.5, "16": 0}, {7: 12.5, 16: 0.0}),
    ],
)
def test_good_values_come_out_in_use(adapter: TypeAdapter[Any], value: object, used: object) -> None:
    """Scaled, looked up, with numbers as keys."""
    assert adapter.validate_python(value) == used


@pytest.mark.parametrize(
    ("adapter", "value", "message"),
    [
        (NUMBER, 5.1, "must be a number of -5 to 5"),
        (NUMBER, "3", "must be a number of -5 to 5"),
        (NUMBER, True, "must be a number of -5 to 5"),
        (NUMBER, float("nan"), "must be a number of -5 to 5"),
        (WHOLE, 2.0, "must be a whole number of 1 to 16"),
        (WHOLE, 17, "must be a whole number of 1 to 16"),
        (WHOLE, 10**400, "must be a whole number of 1 to 16"),
        (ONE, "hihg", "must be one of low, high, 242; did you mean high?"),
        (ONE, True, "must be one of low, high, 242"),
        (SEVERAL, "load", "must be a list"),
        (SEVERAL, ["laod"], "must be one of load, charger; did you mean load?"),
        (BY_CELL, {}, "must be a table with numbers of 1 to 16 as keys"),
        (BY_CELL, {"17": 1}, "key '17' must be a number of 1 to 16"),
        (BY_CELL, {"x": 1}, "key 'x' must be a number of 1 to 16"),
        (BY_CELL, {"1": 101}, "must be a number of 0 to 100"),
    ],
)
def test_bad_values_are_refused_with_what_is_allowed(adapter: TypeAdapter[Any], value: object, message: str) -> None:
    """In the words of the file."""
    assert message in refusal(adapter, value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (90, 90.0),
        (0, 0.0),
        ("90s", 90.0),
        ("5min", 300.0),
        ("2h", 7200.0),
        ("1d", 86400.0),
        ("1h 30min", 5400.0),
        ("1h30min10s", 5410.0),
        (" 0.5 h ", 1800.0),
    ],
)
def test_times(value: object, seconds: float) -> None:
    """A number is in seconds; units may be combined."""
    assert DURATION.validate_python(value) == seconds


@pytest.mark.parametrize("value", ["", "5", "5 m", "min", "-5s", "1h and 5min", -1, True, None, "5min x", 1e10])
def test_other_times_are_refused(value: object) -> None:
    """With examples."""
    assert 'such as "90s", "5min", "2h" or "1h 30min"' in refusal(DURATION, value)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_hours_minutes_and_seconds_add_up(hours: int, minutes: int, seconds: int) -> None:
    """In this order or another."""
    expected = hours * 3600.0 + minutes * 60.0 + seconds

    assert DURATION.validate_python(f"{hours}h {minutes}min {seconds}s") == expected
    assert DURATION.validate_python(f"{seconds}s{minutes}min{hours}h") == expected


def words(table: object, current: int = 0) -> dict[int, int]:
    """Return the words of a table of settings over registers that all hold ``current``."""
    return SETTINGS.validate_python(table).words(lambda _address: current)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({}, {}),
        ({"fully_charged_voltage": 3.55}, {300: 3550}),
        ({"battery_capacity": 66}, {306: 6600}),
        ({"low_temperature_charger_cutoff": -5}, {320: 0xFFFB}),
        ({"operation_mode": "single_port"}, {340: 1}),
        ({"operation_mode": 1}, {340: 1}),
        ({"pulses_per_unit": 100000}, {312: 0x86A0, 313: 1}),
    ],
)
def test_names_and_units_become_words(table: dict[str, object], expected: dict[int, int]) -> None:
    """As in the register catalogue."""
    assert words(table) == expected


def test_settings_of_one_register_leave_each_other_alone() -> None:
    """330 holds two, 329 three; what is not named stays."""
    table = {"discharge_over_current_timeout": 7, "enable_charger_restart_level": "enabled"}

    assert words(table, 0x0001) == {330: 7 << 8 | 1, 329: 0b101}
    assert words({**table, "charger_type": "cc_cv"}, 0xFF00) == {330: 7 << 8 | 1, 329: 0xFF04}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([], "must be a table of settings"),
        ({"automatic_recovry": 1}, "is not a setting; did you mean automatic_recovery?"),
        ({"state_of_charge": 1}, "is not a setting"),
        ({"automatic_recovery": True}, "must be a number or the name of a choice"),
        ({"automatic_recovery": [1]}, "must be a number or the name of a choice"),
        ({"automatic_recovery": 31}, "allowed is a whole number 0..30 s"),
        ({"operation_mode": "triple"}, "allowed are dual_port, single_port"),
    ],
)
def test_mistakes_are_told_with_what_is_allowed(table: object, message: str) -> None:
    """Name, kind and range."""
    with pytest.raises(ValidationError) as caught:
        SETTINGS.validate_python(table)

    assert message in str(caught.value)


def test_every_wrong_setting_is_told() -> None:
    """Not only the first."""
    with pytest.raises(ValidationError) as caught:
        SETTINGS.validate_python({"automatic_recovry": 1, "operation_mode": "dual_port", "battery_capacity": []})

    assert [each["loc"] for each in caught.value.errors()] == [("automatic_recovry",), ("battery_capacity",)]


def test_nothing_changes_nothing() -> None:
    """A scenario without settings."""
    assert NamedSettings().words(lambda _address: 0xFFFF) == {}

import pytest

from tinybms_lab.bms.named_settings import NamedSettings, named_settings


def words(table: object, current: int = 0) -> dict[int, int]:
    """Return the words of a table of settings over registers that all hold ``current``."""
    return named_settings(table).words(lambda _address: current)


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
        ({"automatic_recovry": 1}, "automatic_recovry is not a setting; did you mean automatic_recovery?"),
        ({"state_of_charge": 1}, "state_of_charge is not a setting"),
        ({"automatic_recovery": True}, "automatic_recovery must be a number or the name of a choice"),
        ({"automatic_recovery": [1]}, "automatic_recovery must be a number or the name of a choice"),
        ({"automatic_recovery": 31}, "allowed is a whole number 0..30 s"),
        ({"operation_mode": "triple"}, "allowed are dual_port, single_port"),
    ],
)
def test_mistakes_are_told_with_what_is_allowed(table: object, message: str) -> None:
    """Name, kind and range."""
    with pytest.raises(ValueError, match=r"automatic|table|setting|allowed") as caught:
        named_settings(table)

    assert message in str(caught.value)


def test_nothing_changes_nothing() -> None:
    """A scenario without settings."""
    assert NamedSettings().words(lambda _address: 0xFFFF) == {}

from collections.abc import Callable
from dataclasses import replace

import pytest

from tinybms_bridge.tinybms.settings import Readout, SettingsError, make_plan

Make = Callable[..., Readout]


def problems(readout: Readout, wanted: dict[str, object], *, from_unit: bool = False) -> list[str]:
    """Return what is wrong with a request."""
    with pytest.raises(SettingsError) as error:
        make_plan(readout, wanted, from_unit=from_unit)
    return [str(problem) for problem in error.value.problems]


def test_a_plan_tells_old_and_new(readout: Make) -> None:
    """In order of registers, whatever the order of the request."""
    plan = make_plan(readout(), {"over_voltage_cutoff_v": 3.8, "battery_capacity_ah": 66, "ignition": "disabled"})

    assert [(c.name, c.old, c.new) for c in plan.changes] == [
        ("battery_capacity_ah", 100.0, 66.0),
        ("over_voltage_cutoff_v", 3.75, 3.8),
    ]
    assert [c.name for c in plan.unchanged] == ["ignition"]
    assert [step.address for step in plan.steps] == [306, 315]


def test_nothing_to_do_is_an_empty_plan(readout: Make) -> None:
    """The memory of the BMS wears: equal values are not written, rounding to the step included."""
    plan = make_plan(readout(), {"over_voltage_cutoff_v": 3.75, "battery_capacity_ah": 100.004})

    assert plan.steps == ()
    assert plan.changes == ()
    assert [c.name for c in plan.unchanged] == ["battery_capacity_ah", "over_voltage_cutoff_v"]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("allowed_disbalance_v", 0.0304, "0.0304 is rounded to 0.03 V (the step is 0.001 V)"),
        ("battery_capacity_ah", 100.004, "100.004 is rounded to 100 Ah (the step is 0.01 Ah)"),
        ("over_voltage_cutoff_v", 3.8004, "3.8004 is rounded to 3.8 V (the step is 0.001 V)"),
    ],
)
def test_a_value_between_two_steps_is_told(readout: Make, name: str, value: float, text: str) -> None:
    """Not "nothing to write" without a word, and no other value than the one shown."""
    cautions = make_plan(readout({308: 30}), {name: value}).cautions

    assert f"{name}: {text}" in [str(caution) for caution in cautions]
    assert not [caution for caution in cautions if caution.needs_confirmation]


@pytest.mark.parametrize("value", [3.8, 3.75, 3.799])
def test_a_value_on_a_step_is_not_rounded(readout: Make, value: float) -> None:
    """Decimal fractions have no exact binary form; that is no rounding."""
    assert make_plan(readout(), {"over_voltage_cutoff_v": value}).cautions == ()


def test_limits_of_unknown_origin_are_told(readout: Make) -> None:
    """Where the BMS does not tell its own, a change may be within the vendor's range and still be refused."""
    blind = replace(readout(), own_missing="command 0x1D: no answer")

    (caution,) = make_plan(blind, {"over_voltage_cutoff_v": 3.8}).cautions
    assert str(caution) == (
        "values are held against the vendor's ranges, not those of this BMS (command 0x1D: no answer)"
    )
    assert make_plan(blind, {"over_voltage_cutoff_v": 3.75}).cautions == ()


def test_every_mistake_is_told_at_once(readout: Make) -> None:
    """Names, ranges, choices and rules together; a plan is made of nothing less than a sound request."""
    assert problems(
        readout(),
        {
            "over_voltage_cutof_v": 3.8,
            "pack_voltage": 50,
            "reserved_309": 1,
            "state_of_charge_set": 50,
            "series_cells": 17,
            "distance_unit": "furlong",
            "charger_startup_delay_s": "20",
            "fully_charged_voltage_v": 3.745,
            "ignition": "dido1",
            "charger_detection": "dido1",
        },
    ) == [
        (
            "over_voltage_cutof_v = 3.8: no setting has this name; "
            "did you mean over_voltage_cutoff_v, under_voltage_cutoff_v?"
        ),
        "pack_voltage = 50: register 36 can only be read",
        "reserved_309 = 1: register 309 is reserved",
        "state_of_charge_set = 50: is no setting but an action: set_state_of_charge",
        "series_cells = 17: allowed are whole numbers 4 to 16 cells",
        "distance_unit = furlong: allowed are meter, kilometer, feet, mile, yard",
        "charger_startup_delay_s = '20': is not a number; allowed are whole numbers 5 to 60 s",
        "fully_charged_voltage_v (3.745 V) must be at least 10 mV below over_voltage_cutoff_v (3.75 V)",
        "ignition (dido1) and charger_detection (dido1) use the same pin dido1",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("discharge_peak_current_cutoff_a", 200),
        ("charger_startup_delay_s", 30),
        ("charger_disable_delay_s", 30),
        ("charge_restart_level_percent", 90),
        ("battery_max_cycles", 3000),
        ("discharge_over_current_timeout_s", 20),
        ("enable_charger_restart_level", "enabled"),
    ],
)
def test_old_firmware_does_not_have_new_settings(readout: Make, name: str, value: object) -> None:
    """They are reserved there: a write would be lost, or worse."""
    assert problems(readout(firmware=250), {name: value}) == [
        f"{name} = {value}: not available on firmware 2.3.250, needs 2.3.251"
    ]
    assert len(make_plan(readout(firmware=251), {name: value}).changes) == 1


def test_flags_of_329_came_one_firmware_after_242(readout: Make) -> None:
    """The manual names 2.3.243."""
    wanted: dict[str, object] = {"invert_external_current_sensor": "inverted"}

    assert problems(readout(firmware=242), wanted) == [
        "invert_external_current_sensor = inverted: not available on firmware 2.3.242, needs 2.3.243"
    ]
    assert len(make_plan(readout(firmware=243), wanted).steps) == 1


def test_an_unknown_firmware_has_what_all_have(readout: Make) -> None:
    """Nothing is assumed of a unit that does not tell its version."""
    assert problems(readout(firmware=0), {"battery_max_cycles": 3000}) == [
        "battery_max_cycles = 3000: not available on firmware of unknown version, needs 2.3.251"
    ]
    assert len(make_plan(readout(firmware=0), {"over_voltage_cutoff_v": 3.8}).steps) == 1


def test_the_limits_of_the_bms_count(readout: Make) -> None:
    """Its own maximum of 60 A, not the vendor's 750."""
    own = readout({317: 50, 305: 70}, own=({}, {317: 60}))

    assert problems(own, {"discharge_over_current_cutoff_a": 61}) == [
        "discharge_over_current_cutoff_a = 61: allowed by the BMS are whole numbers 1 to 60 A"
    ]


def test_settings_that_are_mentioned_but_not_changed_do_not_loosen_limits(readout: Make) -> None:
    """A restore names the mode too; only a change of it suspends the present limits of the currents."""
    own = readout({317: 50, 305: 70}, own=({}, {317: 60}))
    wanted: dict[str, object] = {"discharge_over_current_cutoff_a": 61, "operation_mode": "dual_port"}

    assert len(problems(own, wanted)) == 1
    wanted = {**wanted, "operation_mode": "single_port"}
    assert len(make_plan(own, wanted).steps) == 2


def test_what_the_unit_holds_is_never_refused(readout: Make) -> None:
    """A value outside the vendor's range, or a choice without a name, found on a unit may stay."""
    odd = readout({332: 40, 337: 1})

    plan = make_plan(odd, {"automatic_recovery_s": 40, "precharge_pin": "unknown (1)"})

    assert plan.steps == ()
    assert len(plan.unchanged) == 2
    assert problems(readout(), {"automatic_recovery_s": 40})


def test_rules_broken_before_by_others_do_not_block(readout: Make) -> None:
    """A unit with two functions on one pin can still get another capacity; it is told."""
    bad = readout({334: 3, 336: 1})

    plan = make_plan(bad, {"battery_capacity_ah": 50})

    assert [step.address for step in plan.steps] == [306]
    assert [str(caution) for caution in plan.cautions] == [
        "not changed by this, but wrong: speed_sensor_input (dido1) and ignition (dido1) use the same pin dido1"
    ]
    assert problems(bad, {"ignition": "aido1", "load_switch_type": "aido1"})
    assert make_plan(bad, {"ignition": "disabled"}).changes


@pytest.mark.parametrize(
    "wanted",
    [
        {"discharge_peak_current_cutoff_a": 60, "discharge_over_current_cutoff_a": 60},
        {"charger_type": "variable_reserved"},
    ],
)
def test_doubtful_combinations_come_from_units_only(readout: Make, wanted: dict[str, object]) -> None:
    """Nobody may invent them, but a backup of a unit that holds them can be restored."""
    assert len(problems(readout(), wanted)) == 1

    plan = make_plan(readout(), wanted, from_unit=True)

    assert len(plan.changes) == len(wanted)
    assert len(plan.cautions) == 1


def test_wrong_combinations_are_refused_from_a_unit_too(readout: Make) -> None:
    """Whatever the file says."""
    assert problems(readout(), {"discharge_peak_current_cutoff_a": 149}, from_unit=True) == [
        "discharge_peak_current_cutoff_a (149 A) must be above discharge_over_current_cutoff_a (150 A)"
    ]


def test_notes_come_first(readout: Make) -> None:
    """What concerns the whole is read before the details."""
    plan = make_plan(readout(), {"series_cells": 14}, notes=["the backup is of another unit"])

    assert str(plan.cautions[0]) == "the backup is of another unit"
    assert len(plan.cautions) == 2

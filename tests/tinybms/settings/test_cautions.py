from collections.abc import Callable

import pytest

from tinybms_bridge.tinybms.settings import Caution, Readout, make_plan

Make = Callable[..., Readout]


def told(readout: Readout, wanted: dict[str, object]) -> list[Caution]:
    """Return the cautions of a plan."""
    return list(make_plan(readout, wanted).cautions)


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ({"series_cells": 14}, "changes which connector pins are measured"),
        ({"operation_mode": "single_port"}, "the BMS restarts by itself and opens its switches"),
        ({"load_switch_type": "aido1"}, "the load is switched through another output"),
        ({"charger_switch_type": "aido1"}, "the charger is switched through another output"),
        ({"single_port_switch_type": "aido1"}, "the battery is switched through another output"),
    ],
)
def test_what_cuts_power_or_changes_what_is_measured_needs_confirmation(
    readout: Make, wanted: dict[str, object], part: str
) -> None:
    """Mode, switches and number of cells."""
    plan = make_plan(readout(), wanted)

    assert len(plan.consequences) == 1
    assert plan.consequences[0].startswith(f"{next(iter(wanted))}: ")
    assert part in plan.consequences[0]


@pytest.mark.parametrize(
    ("wanted", "changes", "part"),
    [
        ({"charger_detection": "dido1"}, {}, "charging stops when no charger is seen"),
        ({"ignition": "dido1"}, {}, "the load is switched off while the ignition input is low"),
        ({"ignition": "disabled"}, {334: 1}, "the load stays on while the BMS sleeps"),
        ({"invert_external_current_sensor": "inverted"}, {}, "charge and discharge change places"),
        ({"disable_switch_diagnostics": "disabled"}, {}, "is no longer noticed"),
        ({"temperature_sensor_type": "multipoint_active_sensor"}, {}, "wrong temperatures"),
        ({"automatic_recovery_s": 0}, {}, "a fault then lasts"),
        ({"broadcast_time": "1s"}, {}, "unasked text"),
        ({"discharge_peak_current_cutoff_a": 751}, {}, "no current above 750 A"),
    ],
)
def test_what_changes_behaviour_is_told_without_confirmation(
    readout: Make, wanted: dict[str, object], changes: dict[int, int], part: str
) -> None:
    """One plain sentence each."""
    (caution,) = told(readout(changes), wanted)

    assert part in caution.text
    assert caution.name == next(iter(wanted))
    assert not caution.needs_confirmation


@pytest.mark.parametrize(
    ("wanted", "changes"),
    [
        ({"over_voltage_cutoff_v": 3.8, "battery_capacity_ah": 50}, {}),
        ({"disable_switch_diagnostics": "enabled"}, {329: 2}),
        ({"automatic_recovery_s": 10}, {}),
        ({"broadcast_time": "disabled"}, {342: 4}),
        ({"series_cells": 16, "operation_mode": "dual_port"}, {}),
    ],
)
def test_harmless_changes_are_silent(readout: Make, wanted: dict[str, object], changes: dict[int, int]) -> None:
    """Warnings that come always are not read."""
    assert told(readout(changes), wanted) == []


@pytest.mark.parametrize(
    ("wanted", "live", "part"),
    [
        ({"discharge_over_current_cutoff_a": 39}, {"current_a": -40.0}, "below the present current of 40.0 A"),
        (
            {"discharge_peak_current_cutoff_a": 39, "discharge_over_current_cutoff_a": 38},
            {"current_a": -40.0},
            "below the present load of 40.0 A",
        ),
        ({"charge_over_current_cutoff_a": 39}, {"current_a": 40.0}, "below the present charge current of 40.0 A"),
        ({"over_voltage_cutoff_v": 3.65}, {"cell_mv": 3700}, "below the highest cell, 3.700 V: charging is cut"),
        ({"fully_charged_voltage_v": 3.5}, {"cell_mv": 3550}, "below the highest cell, 3.550 V: charging ends"),
        (
            {"under_voltage_cutoff_v": 2.7},
            {"cell_mv": 2690},
            "above the lowest cell, 2.690 V: all is cut",
        ),
        ({"fully_discharged_voltage_v": 3.0}, {"cell_mv": 2990}, "above the lowest cell, 2.990 V: the load is cut"),
        ({"over_heat_cutoff_c": 30}, {"celsius": 31.0}, "below the present 31.0 °C: all is cut"),
        ({"low_temperature_charger_cutoff_c": 10}, {"celsius": 9.0}, "above the present 9.0 °C: charging is cut"),
    ],
)
def test_a_limit_that_would_act_at_once_is_told(
    readout: Make, wanted: dict[str, object], live: dict[str, float], part: str
) -> None:
    """The measurements of this moment decide."""
    assert any(part in caution.text for caution in told(readout(live=live), wanted))


@pytest.mark.parametrize(
    ("wanted", "live"),
    [
        ({"discharge_over_current_cutoff_a": 41}, {"current_a": -40.0}),
        ({"discharge_over_current_cutoff_a": 39}, {"current_a": 40.0}),
        ({"charge_over_current_cutoff_a": 39}, {"current_a": -40.0}),
        ({"over_voltage_cutoff_v": 3.65}, {"cell_mv": 3650}),
        ({"under_voltage_cutoff_v": 2.7}, {"cell_mv": 2700}),
        ({"over_heat_cutoff_c": 31}, {"celsius": 31.0}),
    ],
)
def test_a_limit_that_does_not_act_now_is_silent(
    readout: Make, wanted: dict[str, object], live: dict[str, float]
) -> None:
    """The other direction, or just at the limit: the manual's comparisons are strict."""
    assert told(readout(live=live), wanted) == []


def test_a_low_power_board_has_no_external_switches(readout: Make) -> None:
    """The manual gives external switches, precharge and digital pins to high-power boards."""
    part = "high-power boards only"
    for wanted in ({"ignition": "dido1"}, {"precharge_pin": "discharge_fet"}, {"load_switch_type": "aido1"}):
        low, high, unknown = (told(readout(high_power=power), dict(wanted)) for power in (False, True, None))
        assert any(part in caution.text for caution in low)
        assert not any(part in caution.text for caution in [*high, *unknown])
    assert not any(part in c.text for c in told(readout({337: 2}, high_power=False), {"precharge_pin": "disabled"}))


def test_currents_together_with_the_mode_are_judged_by_the_bms(readout: Make) -> None:
    """Nobody knows before what the new mode allows."""
    cautions = told(readout(), {"operation_mode": "single_port", "charge_over_current_cutoff_a": 30})

    assert [str(c) for c in cautions if not c.name] == [
        "how much current may be set depends on the mode and the switches; the BMS decides"
    ]

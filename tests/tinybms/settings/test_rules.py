from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.tinybms.settings import Caution, RawRange, Readout, make_plan, present_range, violations
from tinybms_bridge.tinybms.settings.fields import by_name
from tinybms_bridge.tinybms.settings.rules import PINNED, RuleSeverity, pin_of, writable_range

Make = Callable[..., Readout]

DISCHARGE, PEAK, CHARGE = by_name("discharge_over_current_cutoff_a"), by_name("discharge_peak_current_cutoff_a"), 318


def test_without_the_tables_of_the_bms_the_vendor_counts(readout: Make) -> None:
    """A unit that refuses command 0x1D still has documented ranges."""
    assert present_range(readout(), DISCHARGE) == RawRange(1, 750, "vendor")
    assert writable_range(readout(), DISCHARGE, ()) == RawRange(1, 750, "vendor")


def test_the_bms_knows_better_than_the_vendor(readout: Make) -> None:
    """Real maxima depend on board, switch and sensor: 60 A on a low-power board."""
    own = readout({317: 50}, own=({}, {317: 60}))

    assert present_range(own, DISCHARGE) == RawRange(1, 60, "bms")
    assert writable_range(own, DISCHARGE, [DISCHARGE.name]) == RawRange(1, 60, "bms")


@pytest.mark.parametrize(
    ("low", "high"),
    [(100, 60), (0, 0), (200, 300), (0xFFFF, 0xFFFF)],
    ids=["upside down", "zero throughout", "without the present value", "all ones"],
)
def test_senseless_limits_of_the_bms_are_not_believed(readout: Make, low: int, high: int) -> None:
    """Garbage must not lock a setting, nor open it."""
    own = readout({317: 150}, own=({317: low}, {317: high}))

    assert present_range(own, DISCHARGE) == RawRange(1, 750, "vendor")


def test_limits_of_part_of_a_register(readout: Make) -> None:
    """The two bytes of 330, signed 320 and the 32 bits of 312 have limits in their own places."""
    own = readout(own=({320: 0x10000 - 30, 312: 1}, {330: 10 << 8 | 1, 320: 5, 312: 0x86A0, 313: 1}))

    assert present_range(own, by_name("discharge_over_current_timeout_s")) == RawRange(0, 10, "bms")
    assert present_range(own, by_name("charger_type")) == RawRange(0, 1, "bms")
    assert present_range(own, by_name("low_temperature_charger_cutoff_c")) == RawRange(-30, 5, "bms")
    assert present_range(own, by_name("pulses_per_unit")) == RawRange(1, 100000, "bms")


@pytest.mark.parametrize(
    "name",
    ["fully_charged_voltage_v", "fully_discharged_voltage_v", "over_voltage_cutoff_v", "under_voltage_cutoff_v"],
)
def test_voltages_that_limit_each_other_are_left_to_the_rules(readout: Make, name: str) -> None:
    """The BMS says 2.81 to 3.74 V for 300 now; a batch that moves 315 too may go further."""
    setting = by_name(name)
    raw = setting.raw(readout().words)
    own = readout(own=({setting.address: raw - 5}, {setting.address: raw + 5}))

    assert present_range(own, setting).origin == "bms"
    assert writable_range(own, setting, [name]) == RawRange(*setting.register.raw_range, "vendor")


def test_a_batch_that_changes_the_mode_may_exceed_present_current_limits(readout: Make) -> None:
    """30 A with one port and own transistors, 150 A with two: the present limit says nothing of the state after."""
    own = readout({317: 30, 305: 40}, own=({}, {317: 30}))

    assert writable_range(own, DISCHARGE, ["operation_mode"]) == RawRange(1, 750, "vendor")
    assert writable_range(own, DISCHARGE, ["ignition"]) == RawRange(1, 30, "bms")
    assert writable_range(own, by_name("charger_startup_delay_s"), ["operation_mode"]).origin == "bms"


def test_peak_and_continuous_current_move_together(readout: Make) -> None:
    """Limits that are but the other setting of the pair do not bind a batch that moves both."""
    own = readout({305: 180, 317: 150}, own=({305: 151}, {305: 750, 317: 179}))

    assert writable_range(own, DISCHARGE, [DISCHARGE.name]) == RawRange(1, 179, "bms")
    assert writable_range(own, DISCHARGE, [PEAK.name]) == RawRange(1, 750, "vendor")
    assert writable_range(own, PEAK, [PEAK.name]) == RawRange(151, 750, "bms")
    assert writable_range(own, PEAK, [PEAK.name, DISCHARGE.name]) == RawRange(0, 750, "bms")


def test_a_limit_of_the_hardware_binds_the_pair_too(readout: Make) -> None:
    """150 A is the board, not the peak setting: raising both cannot pass it."""
    own = readout({305: 180, 317: 100}, own=({}, {317: 150}))

    assert writable_range(own, DISCHARGE, [PEAK.name]) == RawRange(1, 150, "bms")


Judge = Callable[[dict[int, int], int], list[str]]


def found(make: Make, changes: dict[int, int], firmware: int = 254) -> list[str]:
    """Return the messages for delivered settings with ``changes``."""
    return [each.message.text for each in violations(make(changes, firmware=firmware).words, firmware)]


@pytest.mark.parametrize("firmware", [242, 254])
def test_delivered_settings_break_no_rule(readout: Make, firmware: int) -> None:
    """A rule that the simulated unit breaks as delivered would be wrong."""
    assert found(readout, {}, firmware) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {300: 3741},
            "fully_charged_voltage_v (3.741 V) must be at least 10 mV below over_voltage_cutoff_v (3.75 V)",
        ),
        (
            {301: 3591},
            "fully_discharged_voltage_v (3.591 V) must be at least 10 mV below fully_charged_voltage_v (3.6 V)",
        ),
        (
            {316: 2791},
            "under_voltage_cutoff_v (2.791 V) must be at least 10 mV below fully_discharged_voltage_v (2.8 V)",
        ),
        (
            {305: 149},
            "discharge_peak_current_cutoff_a (149 A) must be above discharge_over_current_cutoff_a (150 A)",
        ),
        (
            {342: 3, 343: 2},
            "broadcast_time (0.5s) is too fast for broadcast_protocol (soc_bar); from 1s on, or disabled",
        ),
        ({331: 1, 333: 2}, "charger_switch_type (aido1) and load_switch_type (aido1) use the same pin aido1"),
        ({330: 2}, "charger_type (can_reserved) is reserved; the vendor supports cc_cv only"),
    ],
)
def test_each_rule_names_both_sides_with_their_values(readout: Make, changes: dict[int, int], message: str) -> None:
    """The user sees what to change, and to what."""
    assert found(readout, changes) == [message]


@pytest.mark.parametrize(
    "changes", [{300: 3740}, {301: 3590}, {316: 2790}, {305: 151}, {342: 4, 343: 2}, {342: 1, 343: 1}, {342: 0, 343: 2}]
)
def test_the_edges_are_allowed(readout: Make, changes: dict[int, int]) -> None:
    """10 mV are enough, one ampere above is above, 1 s is slow enough for SOC BAR."""
    assert found(readout, changes) == []


def test_equal_currents_are_doubtful_and_lower_peak_is_wrong(readout: Make) -> None:
    """The manual wants the peak above, and shows 60 and 60 itself."""
    equal = violations(readout({305: 60, 317: 60}).words, 254)
    lower = violations(readout({305: 59, 317: 60}).words, 254)

    assert [each.severity for each in equal] == [RuleSeverity.DOUBTFUL]
    assert [each.severity for each in lower] == [RuleSeverity.WRONG]
    assert equal[0].key != lower[0].key


def test_old_firmware_has_no_peak_current_to_judge(readout: Make) -> None:
    """Register 305 reads 0 there."""
    assert found(readout, {305: 0}, firmware=250) == []
    assert len(found(readout, {305: 0}, firmware=251)) == 1


def test_a_violation_is_the_same_whatever_its_numbers(readout: Make) -> None:
    """The planner compares what is broken before and after a step."""
    first, second = (violations(readout({300: raw}).words, 254)[0] for raw in (3745, 3750))

    assert first != second
    assert first.key == second.key


@pytest.mark.parametrize(
    ("name", "changes", "pin"),
    [
        ("load_switch_type", {331: 0}, None),
        ("load_switch_type", {331: 5}, "aiho1"),
        ("load_switch_type", {331: 6}, "aiho1"),
        ("charger_switch_type", {333: 1}, None),
        ("charger_switch_type", {333: 9}, "aiho2"),
        ("charger_detection", {335: 1}, None),
        ("charger_detection", {335: 4}, "dido1"),
        ("precharge_pin", {337: 2}, None),
        ("precharge_pin", {337: 16}, "aiho2"),
        ("precharge_pin", {337: 1}, None),
        ("ignition", {334: 0}, None),
    ],
)
def test_pins_are_taken_from_the_choices(readout: Make, name: str, changes: dict[int, int], pin: str | None) -> None:
    """Active low and active high are the same pin; the own transistors are none."""
    assert pin_of(by_name(name), readout(changes).words) == pin


PIN_RAWS = {331: 8, 333: 9, 334: 6, 335: 7, 336: 2, 337: 16, 341: 8}


@given(
    st.fixed_dictionaries({address: st.integers(0, top) for address, top in PIN_RAWS.items()}),
    st.fixed_dictionaries({a: st.integers(2000, 2060) for a in (300, 301, 315, 316)}),
    st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(0, 7), st.integers(0, 2)),
    st.sampled_from([242, 254]),
)
def test_the_rules_agree_with_an_independent_judge(
    readout: Make, broken: Judge, pins: dict[int, int], volts: dict[int, int], rest: tuple[int, ...], firmware: int
) -> None:
    """Written twice, from the vendor's text and by pin numbers: both must see the same."""
    peak, cutoff, time, protocol = rest
    changes = {**pins, **volts, 305: peak, 317: cutoff, 342: time, 343: protocol}
    words = readout(changes, firmware=firmware).words
    kinds = set()
    for each in violations(words, firmware):
        numbers = "/".join(str(by_name(name).address) for name in each.names)
        kinds.add("pins" if each.names[0] in PINNED else {"342/343": "broadcast"}.get(numbers, numbers))

    assert kinds == set(broken(dict(zip(range(300, 344), words, strict=True)), firmware))


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
    assert str(plan.consequences[0]).startswith(f"{next(iter(wanted))}: ")
    assert part in str(plan.consequences[0])


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

    assert part in caution.message.text
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
    assert any(part in caution.message.text for caution in told(readout(live=live), wanted))


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
        assert any(part in caution.message.text for caution in low)
        assert not any(part in caution.message.text for caution in [*high, *unknown])
    assert not any(
        part in c.message.text for c in told(readout({337: 2}, high_power=False), {"precharge_pin": "disabled"})
    )


def test_currents_together_with_the_mode_are_judged_by_the_bms(readout: Make) -> None:
    """Nobody knows before what the new mode allows."""
    cautions = told(readout(), {"operation_mode": "single_port", "charge_over_current_cutoff_a": 30})

    assert [str(c) for c in cautions if not c.name] == [
        "how much current may be set depends on the mode and the switches; the BMS decides"
    ]

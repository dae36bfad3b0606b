from collections.abc import Callable

import pytest

from tinybms_bridge.tinybms.settings import RawRange, Readout, present_range
from tinybms_bridge.tinybms.settings.fields import by_name
from tinybms_bridge.tinybms.settings.limits import writable_range

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

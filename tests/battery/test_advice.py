"""What an expert would change in the settings of a BMS: every bad input of the field is told, a good unit is left."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.advice import Advice, Weight, advise
from tinybms_bridge.battery.limits import Chemistry
from tinybms_bridge.battery.snapshot import Ratings, Switches
from tinybms_lab.testing.words import said

GOOD = Ratings(
    series_cells=16,
    fully_charged_cell_v=3.65,
    fully_discharged_cell_v=2.80,
    over_voltage_cell_v=3.75,
    under_voltage_cell_v=2.50,
    charge_over_current_a=190.0,
    discharge_over_current_a=200.0,
    discharge_peak_current_a=250.0,
    over_heat_c=60.0,
    low_temperature_charge_c=1.0,
    capacity_ah=280.0,
    allowed_disbalance_mv=50.0,
    switches=Switches.TWO_FETS,
    early_balancing_cell_v=3.40,
    charge_restart=True,
    charge_restart_percent=90.0,
    least_current_a=0.08,
)
"""An LFP pack as an expert would set it."""


def found(ratings: Ratings, chemistry: Chemistry | None = Chemistry.LFP, **more: float) -> dict[int, Advice]:
    """Return the advice by register."""
    advice = advise(ratings, chemistry, firmware=int(more.pop("firmware", 254)), **more)
    assert len({each.register for each in advice}) == len(advice)
    return {each.register: each for each in advice}


def test_a_good_unit_is_left_alone() -> None:
    """Nothing to say about settings that an expert would choose."""
    assert found(GOOD) == {}


def test_the_factory_s_balancing_is_told() -> None:
    """Registers 303 and 308 as delivered: bleeding on the plateau, and a spread that no LFP pack reaches."""
    advice = found(replace(GOOD, early_balancing_cell_v=3.20, allowed_disbalance_mv=15.0))
    assert {register: (each.present, each.advised) for register, each in advice.items()} == {
        303: (3.2, 3.38),
        308: (0.015, 0.05),
    }
    assert advice[303].command == "tinybms-bridge settings set early_balancing_threshold_v=3.38"
    assert advice[308].command == "tinybms-bridge settings set allowed_disbalance_v=0.05"
    assert "never calls the battery full" in advice[308].reason.text


def test_frost_is_urgent() -> None:
    """Register 320 = -20: a charger that listens to nobody plates lithium."""
    advice = found(replace(GOOD, low_temperature_charge_c=-20.0))
    assert (advice[320].weight, advice[320].advised) == (Weight.URGENT, 0.0)
    assert advice[320].command == "tinybms-bridge settings set low_temperature_charger_cutoff_c=0"
    assert found(replace(GOOD, low_temperature_charge_c=0.0)) == {}


@pytest.mark.parametrize(
    ("charge_a", "weight"), [(196.0, None), (197.0, Weight.ADVISED), (280.0, Weight.ADVISED), (281.0, Weight.URGENT)]
)
def test_too_much_current_is_told_the_stronger_the_more(charge_a: float, weight: Weight | None) -> None:
    """0.7C is enough for LFP; above 1C it harms."""
    advice = found(replace(GOOD, charge_over_current_a=charge_a))
    assert [each.weight for each in advice.values()] == ([] if weight is None else [weight])
    if weight is not None:
        assert advice[318].command == "tinybms-bridge settings set charge_over_current_cutoff_a=196"


def test_a_small_pack_is_advised_no_current_that_no_bms_takes() -> None:
    """Register 318 holds whole amperes from 1 on."""
    assert found(replace(GOOD, capacity_ah=1.0, charge_over_current_a=2.0)) == {}


def test_a_full_charge_too_high_for_lfp_is_urgent() -> None:
    """Register 300 above 3.65 V, where the owner or the cells have said that it is LFP."""
    advice = found(replace(GOOD, fully_charged_cell_v=3.70, over_voltage_cell_v=3.80))
    assert (advice[300].weight, advice[300].advised) == (Weight.URGENT, 3.65)


def test_an_unknown_chemistry_is_advised_nothing_that_depends_on_it() -> None:
    """At 3.70 V in register 300 it may be LFP or Li-ion; frost harms both."""
    doubtful = replace(
        GOOD,
        fully_charged_cell_v=3.70,
        early_balancing_cell_v=3.0,
        allowed_disbalance_mv=15.0,
        charge_over_current_a=500.0,
        low_temperature_charge_c=-10.0,
        charge_restart=False,
    )
    assert set(found(doubtful, None)) == {320, 329}


def test_what_was_not_read_is_not_judged() -> None:
    """No reading of registers 303 and 329 is no reason for advice."""
    assert found(replace(GOOD, early_balancing_cell_v=None, charge_restart=None, charge_restart_percent=None)) == {}


def test_a_bms_that_never_tops_up_is_told() -> None:
    """Register 329 bit 2, with the level that then counts."""
    advice = found(replace(GOOD, charge_restart=False))
    assert advice[329].command == "tinybms-bridge settings set enable_charger_restart_level=enabled"
    assert "90 % now" in advice[329].reason.text


def test_an_old_firmware_cannot_be_set_but_is_told() -> None:
    """Before 2.3.251 there is no such bit: a note without a command."""
    note = found(replace(GOOD, charge_restart=False), firmware=242)[329]
    assert (note.weight, note.command) == (Weight.NOTE, "")
    assert "yours is 2.3.242" in str(note)
    assert found(replace(GOOD, charge_restart=False), firmware=0)[329].command != ""


def test_a_single_port_is_told_what_register_300_does_to_it() -> None:
    """Its one switch would darken the house."""
    note = found(replace(GOOD, switches=Switches.SINGLE))[340]
    assert (note.weight, note.command) == (Weight.NOTE, "")
    assert "dark" in note.reason.text


def test_a_board_that_counts_no_small_current_is_told() -> None:
    """0.8 A are 19.2 Ah a day: 7 % of 280 Ah, and no more than all of a small pack."""
    assert "up to 7 % of the battery a day" in found(replace(GOOD, least_current_a=0.8))[501].reason.text
    small = replace(GOOD, least_current_a=0.8, capacity_ah=4.0, charge_over_current_a=2.0)
    assert "up to 100 %" in found(small)[501].reason.text


@pytest.mark.parametrize(("measured_ah", "told"), [(196.0, True), (364.0, True), (260.0, False), (300.0, False)])
def test_a_wrong_capacity_is_told(measured_ah: float, told: bool) -> None:
    """30 % off is told with the value that was measured; a few percent are age and temperature."""
    advice = found(GOOD, capacity_ah=measured_ah)
    assert (306 in advice) is told
    if told:
        assert advice[306].command == f"tinybms-bridge settings set battery_capacity_ah={measured_ah:g}"


@pytest.mark.parametrize("measured_ah", [math.nan, math.inf, 0.0, -5.0])
def test_a_capacity_that_cannot_be_measured_is_no_measurement(measured_ah: float) -> None:
    """Nonsense from an estimate advises nothing."""
    assert found(GOOD, capacity_ah=measured_ah) == {}


def test_a_threshold_that_cells_hardly_reach_is_told() -> None:
    """Register 303 near or above the charge target: no bleeding on usual days."""
    assert found(replace(GOOD, early_balancing_cell_v=3.60))[303].advised == 3.38
    li_ion = replace(GOOD, fully_charged_cell_v=4.10, over_voltage_cell_v=4.25, early_balancing_cell_v=4.10)
    assert found(li_ion, Chemistry.LI_ION)[303].advised == 3.95
    lto = replace(GOOD, fully_charged_cell_v=2.70, over_voltage_cell_v=2.85, early_balancing_cell_v=2.68)
    assert found(lto, Chemistry.LTO)[303].advised == 2.45


def test_a_pack_that_is_charged_low_has_no_good_threshold() -> None:
    """An LFP pack that ends at 3.42 V per cell leaves no room between 3.38 V and the target."""
    assert 303 not in found(replace(GOOD, fully_charged_cell_v=3.45, early_balancing_cell_v=3.20))


def test_li_ion_may_be_charged_less_high() -> None:
    """The owner's choice, with what it costs; the voltages of LFP are none of its."""
    li_ion = replace(
        GOOD,
        fully_charged_cell_v=4.15,
        over_voltage_cell_v=4.25,
        early_balancing_cell_v=3.9,
        allowed_disbalance_mv=15.0,
    )
    advice = found(li_ion, Chemistry.LI_ION)
    assert {register: each.weight for register, each in advice.items()} == {300: Weight.CHOICE}
    assert "about 5 % of the charge" in advice[300].reason.text
    assert found(replace(li_ion, fully_charged_cell_v=4.10), Chemistry.LI_ION) == {}


def test_lto_has_its_own_threshold_and_no_frost() -> None:
    """It has no graphite to plate, and its voltage tells charge from 2.45 V on."""
    lto = replace(
        GOOD,
        fully_charged_cell_v=2.70,
        over_voltage_cell_v=2.85,
        fully_discharged_cell_v=1.9,
        under_voltage_cell_v=1.7,
        early_balancing_cell_v=2.30,
        low_temperature_charge_c=-30.0,
        charge_over_current_a=500.0,
        allowed_disbalance_mv=15.0,
    )
    assert {register: each.advised for register, each in found(lto, Chemistry.LTO).items()} == {303: 2.45}


def test_an_advice_reads_as_one_line() -> None:
    """With register, name, both values and the reason."""
    (advice,) = found(replace(GOOD, allowed_disbalance_mv=15.0)).values()
    assert str(advice).startswith("register 308 (allowed_disbalance_v) is 0.015 V, better 0.05 V: LFP cells")
    kept = replace(advice, obstacle=said("allowed by the BMS are numbers 0.015 to 0.03 V"))
    assert str(kept).endswith("(cannot be set: allowed by the BMS are numbers 0.015 to 0.03 V)")
    assert kept.command == ""


volts = st.floats(1.0, 4.5)


@given(
    full_v=st.floats(1.2, 4.5),
    bleed_v=st.none() | volts,
    disbalance_mv=st.floats(0.0, 65535.0),
    charge_a=st.floats(1.0, 750.0),
    capacity_ah=st.floats(0.1, 655.0),
    coldest_c=st.floats(-40.0, 10.0),
    restart=st.none() | st.booleans(),
    switches=st.sampled_from(Switches),
    least_a=st.sampled_from([0.08, 0.8]),
    chemistry=st.none() | st.sampled_from(Chemistry),
    measured_ah=st.none() | st.floats(),
    firmware=st.integers(0, 65535),
)
def test_who_follows_the_advice_is_advised_no_more(
    full_v: float,
    bleed_v: float | None,
    disbalance_mv: float,
    charge_a: float,
    capacity_ah: float,
    coldest_c: float,
    restart: bool | None,
    switches: Switches,
    least_a: float,
    chemistry: Chemistry | None,
    measured_ah: float | None,
    firmware: int,
) -> None:
    """Whatever the unit: each value lies in the vendor's range, and once all are set, only notes are left."""
    ratings = replace(
        GOOD,
        fully_charged_cell_v=full_v,
        early_balancing_cell_v=bleed_v,
        allowed_disbalance_mv=disbalance_mv,
        charge_over_current_a=charge_a,
        capacity_ah=capacity_ah,
        low_temperature_charge_c=coldest_c,
        charge_restart=restart,
        switches=switches,
        least_current_a=least_a,
    )
    names = {
        "fully_charged_voltage_v": ("fully_charged_cell_v", 1.2, 4.5),
        "early_balancing_threshold_v": ("early_balancing_cell_v", 1.0, 4.5),
        "battery_capacity_ah": ("capacity_ah", 0.1, 655.0),
        "charge_over_current_cutoff_a": ("charge_over_current_a", 1.0, 750.0),
        "low_temperature_charger_cutoff_c": ("low_temperature_charge_c", -40.0, 10.0),
    }
    for _ in range(3):  # the capacity decides what is a good current, and register 300 what is a good threshold
        for each in advise(ratings, chemistry, firmware=firmware, capacity_ah=measured_ah):
            if each.setting == "enable_charger_restart_level":
                ratings = replace(ratings, charge_restart=True)
            elif each.setting == "allowed_disbalance_v":
                ratings = replace(ratings, allowed_disbalance_mv=50.0)
            elif each.setting:
                name, low, high = names[each.setting]
                assert isinstance(each.advised, float)
                assert low <= each.advised <= high
                changed: dict[str, Any] = {name: each.advised}
                ratings = replace(ratings, **changed)
    left = advise(ratings, chemistry, firmware=firmware, capacity_ah=measured_ah)
    assert [str(each) for each in left if each.weight is not Weight.NOTE] == []

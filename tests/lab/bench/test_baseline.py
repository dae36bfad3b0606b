"""The firmware's algorithm: every row of the reference firmware, sections 5.5 and 5.6."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import ChargeState
from tinybms_lab.bench.baseline import FirmwareConfig, FirmwareInput, FirmwareResult, compute

DEFAULT = FirmwareConfig()
USUAL = FirmwareInput(
    soc=80.0, imbalance_mv=20.0, pack_v=54.0, base_ccl_a=50.0, base_dcl_a=100.0, current_a=0.0, cell_max_v=3.45
)
FRESH = FirmwareResult()

UNIT_TEST = FirmwareConfig(
    bulk_soc=90.0,
    transition_soc=95.0,
    float_soc=98.0,
    float_exit_soc=95.0,
    minimum_ccl_a=0.5,
    imbalance_hold_mv=120.0,
    imbalance_release_mv=40.0,
    cell_safety_v=3.52,
    cell_release_v=3.48,
    kp=80.0,
    recovery_step_v=0.5,
    sustain_entry_soc=5.0,
    sustain_exit_soc=9.0,
    sustain_dcl_a=10.0,
    drop_max_v=1.5,
)
"""Configuration of the firmware's own unit test (section 5.6)."""


def run(config: FirmwareConfig = DEFAULT, before: FirmwareResult = FRESH, **changes: float) -> FirmwareResult:
    """Return what the firmware decides from usual inputs with some changed."""
    return compute(replace(USUAL, **changes), config, before)


def after(state: ChargeState, cvl_v: float = 58.4, protected: bool = False) -> FirmwareResult:
    """Return a result that came before."""
    return FirmwareResult(state, cvl_v, 50.0, 100.0, protected)


# Section 5.5, in the order of its table.


def test_an_imbalance_of_150_mv_holds() -> None:
    """HOLD, 58.375 V, CCL 5."""
    result = run(imbalance_mv=150.0)

    assert (result.state, result.ccl_a) == (ChargeState.IMBALANCE_HOLD, 5.0)
    assert result.cvl_v == pytest.approx(58.375)


def test_a_huge_imbalance_drops_by_two_volts() -> None:
    """HOLD, 56.4 V."""
    result = run(imbalance_mv=5000.0)

    assert result.state is ChargeState.IMBALANCE_HOLD
    assert result.cvl_v == pytest.approx(56.4)


def test_an_empty_battery_is_sustained() -> None:
    """SUSTAIN at 51.2 V and not 50.0 V, with 5 A both ways."""
    result = run(soc=4.0)

    assert result.state is ChargeState.SUSTAIN
    assert (result.cvl_v, result.ccl_a, result.dcl_a) == pytest.approx((51.2, 5.0, 5.0))


@pytest.mark.parametrize(("soc", "state"), [(7.0, ChargeState.SUSTAIN), (8.0, ChargeState.BULK)])
def test_sustain_ends_at_its_exit(soc: float, state: ChargeState) -> None:
    """7 % stays, 8 % leaves."""
    assert run(before=after(ChargeState.SUSTAIN, 51.2), soc=soc).state is state


@pytest.mark.parametrize(
    ("cell_v", "current_a", "cvl_v", "ccl_a", "dcl_a"),
    [
        (3.52, 0.0, 56.0, 47.945, 95.890),
        (3.52, 157.0, 53.6, 45.890, 91.781),
        (3.60, 157.0, 51.2, 43.836, 87.671),
    ],
)
def test_a_high_cell_lowers_everything(
    cell_v: float, current_a: float, cvl_v: float, ccl_a: float, dcl_a: float
) -> None:
    """CVL by the gain, the currents by the same ratio: DCL too, which is one of its faults."""
    result = run(cell_max_v=cell_v, current_a=current_a)

    assert result.cvl_v == pytest.approx(cvl_v)
    assert result.ccl_a == pytest.approx(ccl_a, abs=0.001)
    assert result.dcl_a == pytest.approx(dcl_a, abs=0.001)


def test_recovery_is_limited_for_one_cycle_only() -> None:
    """51.6 V, then 58.4 V in one step: another of its faults."""
    released = run(before=after(ChargeState.BULK, 51.2, protected=True), cell_max_v=3.46)
    assert released.cvl_v == pytest.approx(51.6)
    assert not released.protected

    assert run(before=released, cell_max_v=3.46).cvl_v == pytest.approx(58.4)


def test_protection_stays_between_release_and_threshold() -> None:
    """A cell at 3.48 V with protection active and 56.0 V before: 56.4 V, still active."""
    result = run(before=after(ChargeState.BULK, 56.0, protected=True), cell_max_v=3.48)

    assert result.cvl_v == pytest.approx(56.4)
    assert result.protected


def test_the_threshold_itself_protects_without_reducing() -> None:
    """A cell at exactly 3.50 V."""
    result = run(cell_max_v=3.50)

    assert result.protected
    assert result.cvl_v == pytest.approx(58.4)


def test_float_begins_at_98_and_lasts_down_to_95() -> None:
    """58.3 V and 5 A; stays at 96 %; 94.9 % is TRANSITION at 58.4 V."""
    floating = run(soc=98.0)
    assert (floating.state, floating.ccl_a) == (ChargeState.FLOAT, 5.0)
    assert floating.cvl_v == pytest.approx(58.3)
    assert run(before=floating, soc=96.0).state is ChargeState.FLOAT

    left = run(before=floating, soc=94.9)

    assert left.state is ChargeState.TRANSITION
    assert left.cvl_v == pytest.approx(58.4)


def test_the_unit_test_configuration_holds_at_its_own_voltage() -> None:
    """150 mV: 58.385 V, CCL 0.5."""
    result = run(UNIT_TEST, imbalance_mv=150.0)

    assert result.cvl_v == pytest.approx(58.385)
    assert result.ccl_a == 0.5


# Section 5.6, by the number of its row.


def test_row_1_bulk() -> None:
    """80 %: BULK, 58.4 V, 50 A, 100 A."""
    result = run(UNIT_TEST, soc=80.0)

    assert result.state is ChargeState.BULK
    assert (result.cvl_v, result.ccl_a, result.dcl_a) == pytest.approx((58.4, 50.0, 100.0), abs=0.001)


def test_row_2_transition() -> None:
    """92 %: TRANSITION."""
    assert run(UNIT_TEST, soc=92.0).state is ChargeState.TRANSITION


def test_row_3_float_approach() -> None:
    """96 %: FLOAT_APPROACH at 58.35 V."""
    before = run(UNIT_TEST, soc=92.0)
    result = run(UNIT_TEST, before, soc=96.0)

    assert result.state is ChargeState.FLOAT_APPROACH
    assert result.cvl_v == pytest.approx(58.35, abs=0.002)


def test_row_4_float() -> None:
    """99 %: FLOAT at 58.30 V with 0.5 A."""
    result = run(UNIT_TEST, after(ChargeState.FLOAT_APPROACH, 58.35), soc=99.0)

    assert (result.state, result.ccl_a) == (ChargeState.FLOAT, 0.5)
    assert result.cvl_v == pytest.approx(58.30, abs=0.002)


def test_row_5_float_is_latched() -> None:
    """96 % after FLOAT: FLOAT."""
    assert run(UNIT_TEST, after(ChargeState.FLOAT, 58.3), soc=96.0).state is ChargeState.FLOAT


def test_row_6_float_ends() -> None:
    """90 % after FLOAT: TRANSITION is the real answer."""
    assert run(UNIT_TEST, after(ChargeState.FLOAT, 58.3), soc=90.0).state is ChargeState.TRANSITION


def test_row_7_imbalance_comes_first() -> None:
    """97 % with 150 mV: IMBALANCE_HOLD with 0.5 A."""
    result = run(UNIT_TEST, after(ChargeState.FLOAT_APPROACH, 58.35), soc=97.0, imbalance_mv=150.0)

    assert (result.state, result.ccl_a) == (ChargeState.IMBALANCE_HOLD, 0.5)


def test_row_8_a_hold_ends() -> None:
    """85 % with 20 mV after a hold: BULK."""
    before = after(ChargeState.IMBALANCE_HOLD, 58.385)

    assert run(UNIT_TEST, before, soc=85.0, imbalance_mv=20.0).state is ChargeState.BULK


def test_row_9_disabled() -> None:
    """Switched off: BULK with the base currents, whatever the state of charge."""
    result = run(replace(UNIT_TEST, enabled=False), after(ChargeState.FLOAT, 58.3), soc=99.0)

    assert (result.state, result.ccl_a, result.dcl_a) == (ChargeState.BULK, 50.0, 100.0)


# What the text of sections 5.2 to 5.4 adds.


def test_a_hold_forgets_float() -> None:
    """After a hold at 96 % it is FLOAT_APPROACH, though FLOAT was latched before: a fault that ours has mended."""
    held = run(before=after(ChargeState.FLOAT, 58.3), soc=96.5, imbalance_mv=150.0)

    assert run(before=held, soc=96.5, imbalance_mv=20.0).state is ChargeState.FLOAT_APPROACH


@pytest.mark.parametrize(("imbalance_mv", "state"), [(51.0, ChargeState.IMBALANCE_HOLD), (50.0, ChargeState.BULK)])
def test_a_hold_ends_at_its_release(imbalance_mv: float, state: ChargeState) -> None:
    """At or below the release threshold."""
    assert run(before=after(ChargeState.IMBALANCE_HOLD), imbalance_mv=imbalance_mv).state is state


def test_a_hold_begins_above_its_threshold_only() -> None:
    """Exactly 100 mV is no hold."""
    assert run(imbalance_mv=100.0).state is ChargeState.BULK


def test_without_a_target_the_pack_voltage_is_the_target() -> None:
    """An alarm threshold of 0 makes it send what the battery has."""
    assert run(replace(DEFAULT, target_v=0.0), pack_v=54.0).cvl_v == pytest.approx(54.0)


def test_swapped_offsets_are_put_in_order() -> None:
    """A float above the approach is exchanged with it."""
    config = replace(DEFAULT, float_approach_offset_mv=200.0, float_offset_mv=100.0)

    assert run(config, soc=96.0).cvl_v == pytest.approx(58.3)
    assert run(config, soc=99.0).cvl_v == pytest.approx(58.2)


def test_sustain_is_off_unless_its_exit_lies_above_its_entry() -> None:
    """Exit = entry switches the state off."""
    assert run(replace(DEFAULT, sustain_exit_soc=5.0), soc=2.0).state is ChargeState.BULK


def test_an_explicit_sustain_voltage_wins() -> None:
    """Above 0 it replaces the one per cell, but not the floor."""
    assert run(replace(DEFAULT, sustain_v=52.0), soc=2.0).cvl_v == pytest.approx(52.0)
    assert run(replace(DEFAULT, sustain_v=48.0), soc=2.0).cvl_v == pytest.approx(51.2)


@pytest.mark.parametrize("config", [replace(DEFAULT, cells=0), replace(DEFAULT, cell_max_v=0.0)])
def test_without_a_configured_ceiling_there_is_no_protection(config: FirmwareConfig) -> None:
    """No cell count or no ceiling per cell in its configuration: the limits of the state pass through."""
    assert run(config, cell_max_v=3.9).cvl_v == pytest.approx(58.4)


def test_the_ceiling_binds_without_a_cell_voltage() -> None:
    """What is measured does not switch the protection off: n x the configured ceiling, and the ramp out of it, bind."""
    config, before = replace(DEFAULT, target_v=60.0), after(ChargeState.BULK, 56.0, protected=True)

    assert run(config, cell_max_v=0.0).cvl_v == pytest.approx(58.4)
    assert run(config, before, cell_max_v=0.0).cvl_v == pytest.approx(56.4)


def test_no_recovery_limit_when_switched_off() -> None:
    """A step of 0 lets CVL jump."""
    before = after(ChargeState.BULK, 51.2, protected=True)

    assert run(replace(DEFAULT, recovery_step_v=0.0), before, cell_max_v=3.46).cvl_v == pytest.approx(58.4)


def test_negative_bases_count_as_zero() -> None:
    """A base below 0 is 0."""
    result = run(base_ccl_a=-5.0, base_dcl_a=-5.0)

    assert (result.ccl_a, result.dcl_a) == (0.0, 0.0)


@given(
    soc=st.floats(0.0, 100.0),
    imbalance_mv=st.floats(0.0, 3000.0),
    current_a=st.floats(-200.0, 200.0),
    cell_max_v=st.floats(2.5, 4.2),
    before_v=st.floats(51.2, 58.4),
    state=st.sampled_from(list(ChargeState)),
    protected=st.booleans(),
)
def test_limits_stay_in_their_range(
    soc: float,
    imbalance_mv: float,
    current_a: float,
    cell_max_v: float,
    before_v: float,
    state: ChargeState,
    protected: bool,
) -> None:
    """CVL between the floor and the target, currents between 0 and their base."""
    before = after(state, before_v, protected)
    result = run(before=before, soc=soc, imbalance_mv=imbalance_mv, current_a=current_a, cell_max_v=cell_max_v)

    assert 51.2 - 1e-9 <= result.cvl_v <= 58.4 + 1e-9
    assert 0.0 <= result.ccl_a <= 50.0
    assert 0.0 <= result.dcl_a <= 100.0

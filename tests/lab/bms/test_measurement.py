import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_lab.bms.chemistry import LFP
from tinybms_lab.bms.measurement import NEVER_S, BmsThresholds, Delay
from tinybms_lab.bms.settings import SettingsBlock, default_settings
from tinybms_lab.bms.variants import FIRMWARE_242, FIRMWARE_254, HIGH_POWER, LOW_POWER


def _thresholds(changes: dict[int, int] | None = None, *, low_power: bool = False) -> BmsThresholds:
    board = LOW_POWER if low_power else HIGH_POWER
    settings = default_settings(LFP, board, 16, 100.0) | (changes or {})
    return BmsThresholds.of(SettingsBlock(settings), board.idle_current_a, FIRMWARE_254)


def test_voltages_and_currents_come_in_units() -> None:
    """Millivolts, milliamperes and amperes of the registers become volts and amperes."""
    limits = _thresholds()

    assert (limits.full_v, limits.empty_v, limits.balance_above_v) == (3.6, 2.8, 3.4)
    assert (limits.over_voltage_v, limits.under_voltage_v, limits.disbalance_v) == (3.75, 2.5, 0.015)
    assert (limits.finished_a, limits.peak_a, limits.discharge_a, limits.charge_a) == (2.0, 180.0, 150.0, 100.0)


def test_temperatures_are_signed() -> None:
    """Register 320 reaches below zero."""
    limits = _thresholds({319: 55, 320: 0x10000 - 20})

    assert (limits.over_heat_c, limits.cold_c) == (55.0, -20.0)


def test_bytes_and_bits_of_shared_registers() -> None:
    """329, 330 and the registers of which only the low byte counts."""
    limits = _thresholds({329: 0b110, 330: 7 << 8 | 1, 332: 0xAA0C, 321: 70})

    assert limits.restart_percent == 70.0
    assert not limits.diagnostics
    assert not limits.invert_external
    assert limits.discharge_timeout_s == 7.0
    assert limits.recovery_s == 12.0


def test_the_restart_level_needs_its_bit() -> None:
    """Without bit 2 of 329 a charger that stays connected never tops up."""
    assert _thresholds({329: 0b011, 321: 70}).restart_percent is None
    assert _thresholds({329: 0b001}).invert_external


@pytest.mark.parametrize(
    ("changes", "low_power", "two"),
    [({}, True, True), ({}, False, False), ({333: 1}, False, True), ({331: 5, 333: 1}, False, False)],
)
def test_two_transistors_or_external_switches(changes: dict[int, int], low_power: bool, two: bool) -> None:
    """Registers 331 and 333 count from different numbers."""
    assert _thresholds(changes, low_power=low_power).two_fets is two


def test_modes_and_inputs() -> None:
    """340, 334 and 335."""
    usual = _thresholds()
    special = _thresholds({340: 1, 334: 5, 335: 2})

    assert (usual.single_port, usual.ignition, usual.internal_detection) == (False, False, True)
    assert (special.single_port, special.ignition, special.internal_detection) == (True, True, False)


def test_firmware_242_has_its_own_times_and_no_peak_limit() -> None:
    """It lacks 305, 310 and 311; the captured 22 s are 20 s and the two of the detection."""
    settings = SettingsBlock(default_settings(LFP, HIGH_POWER, 16, 100.0), FIRMWARE_242.masks)
    limits = BmsThresholds.of(settings, 0.8, FIRMWARE_242)

    assert limits.peak_a == math.inf
    assert (limits.startup_s, limits.disable_s) == (20.0, 5.0)
    assert limits.discharge_timeout_s == 0.0


def test_times_of_firmware_254_are_settings() -> None:
    """0 is a time too."""
    limits = _thresholds({310: 5, 311: 0})

    assert (limits.startup_s, limits.disable_s) == (5.0, 0.0)


@pytest.mark.parametrize(
    ("current_a", "measured_a"), [(0.8, 0.0), (-0.8, 0.0), (0.81, 0.81), (-0.81, -0.81), (0.0, 0.0)]
)
def test_small_currents_read_as_zero(current_a: float, measured_a: float) -> None:
    """Within the activity threshold the BMS sees nothing."""
    assert _thresholds().measured_a(current_a) == measured_a


def test_a_condition_must_hold_without_a_break() -> None:
    """A break starts the count again."""
    delay = Delay()

    seen = [delay.ripe(now_s != 2.0, now_s, 3.0) for now_s in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)]

    assert seen == [False] * 6 + [True]


def test_no_delay_is_ripe_at_once() -> None:
    """Peak currents are cut without a delay."""
    assert Delay().ripe(True, 5.0, 0.0)


def test_it_tells_when_to_ask_again() -> None:
    """So that a simulation meets the moment exactly, whatever its steps."""
    delay = Delay()
    assert delay.due_s == NEVER_S

    delay.ripe(True, 10.0, 2.5)
    assert delay.due_s == 12.5

    assert delay.ripe(True, 12.5, 2.5)
    assert delay.due_s == NEVER_S


def test_reset_forgets_the_time_so_far() -> None:
    """After a restart every delay begins anew."""
    delay = Delay()
    delay.ripe(True, 0.0, 2.0)
    delay.reset()

    assert delay.due_s == NEVER_S
    assert not delay.ripe(True, 2.0, 2.0)
    assert delay.ripe(True, 4.0, 2.0)


def test_the_delay_may_change_while_it_runs() -> None:
    """A current that passes the second limit does not wait out the delay of the first."""
    delay = Delay()

    assert not delay.ripe(True, 0.0, 10.0)
    assert delay.ripe(True, 1.0, 0.0)


@given(
    st.lists(st.tuples(st.booleans(), st.floats(min_value=0.01, max_value=5.0)), min_size=1, max_size=30),
    st.floats(min_value=0.0, max_value=10.0),
)
def test_ripe_means_held_for_that_long(moments: list[tuple[bool, float]], delay_s: float) -> None:
    """Against a plain count of the seconds since the last break."""
    delay = Delay()
    now_s, since_s = 0.0, None
    for condition, step_s in moments:
        since_s = (since_s if since_s is not None else now_s) if condition else None

        assert delay.ripe(condition, now_s, delay_s) == (since_s is not None and now_s - since_s >= delay_s - 1e-9)
        now_s += step_s

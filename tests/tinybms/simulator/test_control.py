import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.snapshot import BmsStatus
from tinybms_bridge.tinybms.simulator.control import ChargeController, Thresholds, balancing_now, balancing_wanted

LIMITS = Thresholds(full_v=3.6, empty_v=2.8, balance_above_v=3.4, finished_a=2.0, disbalance_v=0.015, idle_a=0.8)
MIDDLE = [3.3, 3.3, 3.3, 3.3]


def test_thresholds_come_from_the_settings_registers() -> None:
    """Millivolts and milliamperes become volts and amperes."""
    settings = {300: 3600, 301: 2800, 303: 3400, 304: 2000, 308: 15}

    assert Thresholds.of(settings, 0.8) == LIMITS


@pytest.mark.parametrize(
    ("current_a", "measured_a"), [(0.8, 0.0), (-0.8, 0.0), (0.81, 0.81), (-0.81, -0.81), (0.0, 0.0)]
)
def test_small_currents_read_as_zero(current_a: float, measured_a: float) -> None:
    """Within the activity threshold the BMS sees nothing."""
    assert LIMITS.measured_a(current_a) == measured_a


def test_in_the_middle_everything_flows() -> None:
    """The cells' limits are far away."""
    control = ChargeController()

    assert [control.allow(a, MIDDLE, LIMITS) for a in (30.0, -30.0, 0.0)] == [30.0, -30.0, 0.0]


def test_charging_stops_when_one_cell_is_full() -> None:
    """One cell is enough, and it stays so when the voltage relaxes."""
    control = ChargeController()

    assert control.allow(30.0, [3.3, 3.6, 3.3], LIMITS) == 0.0
    assert control.allow(30.0, MIDDLE, LIMITS) == 0.0
    assert control.status(0.0, LIMITS) is BmsStatus.FULLY_CHARGED


def test_charging_starts_again_when_the_charger_was_away() -> None:
    """The manual: replugged, not relaxed."""
    control = ChargeController()
    control.allow(30.0, [3.6, 3.6], LIMITS)

    assert control.allow(0.0, MIDDLE, LIMITS) == 0.0
    assert control.allow(30.0, MIDDLE, LIMITS) == 30.0
    assert control.status(30.0, LIMITS) is BmsStatus.CHARGING


def test_discharging_stops_when_one_cell_is_empty_until_it_is_charged() -> None:
    """A relaxed voltage alone does not switch the load on again."""
    control = ChargeController()

    assert control.allow(-30.0, [3.0, 2.8], LIMITS) == 0.0
    assert control.allow(0.0, MIDDLE, LIMITS) == 0.0
    assert control.allow(-30.0, MIDDLE, LIMITS) == 0.0
    assert control.allow(30.0, MIDDLE, LIMITS) == 30.0
    assert control.allow(-30.0, MIDDLE, LIMITS) == -30.0


def test_an_empty_pack_may_be_charged_and_a_full_one_discharged() -> None:
    """Each limit stops its own direction only."""
    control = ChargeController()

    assert control.allow(30.0, [2.5, 2.5], LIMITS) == 30.0
    assert control.allow(-30.0, [3.7, 3.7], LIMITS) == -30.0


@given(
    st.lists(
        st.tuples(
            st.floats(min_value=-100, max_value=100),
            st.lists(st.floats(min_value=2.0, max_value=4.0), min_size=2, max_size=4),
        ),
        max_size=30,
    )
)
def test_nothing_flows_past_a_limit(moments: list[tuple[float, list[float]]]) -> None:
    """The allowed current is the wanted one or none, and never drives a cell on past its limit."""
    control = ChargeController()
    for wanted_a, voltages_v in moments:
        allowed_a = control.allow(wanted_a, voltages_v, LIMITS)

        assert allowed_a in {0.0, wanted_a}
        assert not (allowed_a > 0 and max(voltages_v) >= LIMITS.full_v)
        assert not (allowed_a < 0 and min(voltages_v) <= LIMITS.empty_v)


@pytest.mark.parametrize(
    ("current_a", "status"),
    [
        (0.0, BmsStatus.IDLE),
        (0.8, BmsStatus.IDLE),
        (-0.8, BmsStatus.IDLE),
        (0.9, BmsStatus.CHARGING),
        (-0.9, BmsStatus.DISCHARGING),
    ],
)
def test_status_follows_a_driven_current(current_a: float, status: BmsStatus) -> None:
    """The activity threshold separates idle from the rest."""
    control = ChargeController()
    control.follow(current_a, LIMITS)

    assert control.status(current_a, LIMITS) is status


def test_a_charger_without_current_counts_as_charging() -> None:
    """The manual sets the state when the charger is detected."""
    control = ChargeController()
    control.allow(0.1, MIDDLE, LIMITS)

    assert control.status(0.1, LIMITS) is BmsStatus.CHARGING


def test_a_charge_completes_once() -> None:
    """Voltage reached, balanced, little current: SOC is set a single time."""
    control = ChargeController()

    assert control.charge_complete(1.0, [3.599, 3.600], LIMITS)
    assert not control.charge_complete(1.0, [3.599, 3.600], LIMITS)
    assert control.status(1.0, LIMITS) is BmsStatus.FULLY_CHARGED


@pytest.mark.parametrize(
    ("current_a", "voltages_v"),
    [(2.0, [3.6, 3.6]), (0.0, [3.6, 3.6]), (-1.0, [3.6, 3.6]), (1.0, [3.59, 3.59]), (1.0, [3.58, 3.6])],
    ids=["much current", "no current", "discharging", "voltage low", "out of balance"],
)
def test_a_charge_is_not_complete_while_a_condition_is_missing(current_a: float, voltages_v: list[float]) -> None:
    """All three conditions of the manual count."""
    assert not ChargeController().charge_complete(current_a, voltages_v, LIMITS)


def test_full_ends_with_discharging() -> None:
    """A GX that takes power from a full battery ends the state; a small float current does not."""
    control = ChargeController()
    control.charge_complete(1.0, [3.6, 3.6], LIMITS)

    control.follow(0.5, LIMITS)
    assert control.status(0.5, LIMITS) is BmsStatus.FULLY_CHARGED
    control.follow(-5.0, LIMITS)
    assert control.status(-5.0, LIMITS) is BmsStatus.DISCHARGING


def test_balancing_is_wanted_for_high_cells_only() -> None:
    """Above register 303 and more than register 308 over the lowest, highest first."""
    assert balancing_wanted([3.39, 3.41, 3.45, 3.400, 3.42], LIMITS) == [2, 4, 1]
    assert balancing_wanted([3.30, 3.39, 3.31], LIMITS) == []
    assert balancing_wanted([3.500, 3.510, 3.514], LIMITS) == []


@given(st.lists(st.floats(min_value=3.0, max_value=3.7), min_size=4, max_size=16))
def test_at_most_every_third_cell_bleeds(voltages_v: list[float]) -> None:
    """Chosen cells are wanted, apart, and include the highest one."""
    wanted = balancing_wanted(voltages_v, LIMITS)
    now = balancing_now(wanted)

    assert set(now) <= set(wanted)
    assert now[:1] == wanted[:1]
    assert all(abs(a - b) >= 3 for a in now for b in now if a != b)
    assert all(any(abs(a - b) < 3 for b in now) for a in wanted)

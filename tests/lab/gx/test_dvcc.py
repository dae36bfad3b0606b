"""The GX: every rule of the reference victron-can, section 4."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_lab.gx.dvcc import BMS_TIMEOUT_S, FEED_IN_RISE_V, LOOP_S, BatteryLimits, Dvcc, SetPoints, SystemPlan

ISLAND = SystemPlan(island=True, feed_in=False)
GRID = SystemPlan(island=False, feed_in=False)
SELLING = SystemPlan(island=False, feed_in=True)


def frame(cvl_v: float = 57.6, ccl_a: float = 100.0, dcl_a: float = 200.0) -> BatteryLimits:
    """Return a frame of a charging battery."""
    return BatteryLimits(cvl_v, ccl_a, dcl_a)


def points_of(plan: SystemPlan, sent: BatteryLimits, inverter_a: float = 0.0) -> SetPoints:
    """Return the set points of a GX that has just received a frame."""
    gx = Dvcc(plan)
    gx.receive(sent, 10.0)
    return gx.step(10.0, inverter_a)


def test_chargers_are_told_the_cvl() -> None:
    """Without feed-in the target of the chargers is CVL itself."""
    assert points_of(ISLAND, frame(cvl_v=56.3)).charge_v == 56.3
    assert points_of(GRID, frame(cvl_v=56.3)).charge_v == 56.3


def test_chargers_stand_higher_under_feed_in() -> None:
    """CVL + 0.4 V, so that the inverter has something to sell."""
    assert points_of(SELLING, frame(cvl_v=56.3)).charge_v == pytest.approx(56.3 + FEED_IN_RISE_V)
    assert pytest.approx(0.4) == FEED_IN_RISE_V


def test_the_inverter_sells_above_the_cvl() -> None:
    """Under feed-in it pulls the battery down to CVL; otherwise it sells nothing."""
    assert points_of(SELLING, frame(cvl_v=56.3)).export_above_v == 56.3
    assert math.isinf(points_of(GRID, frame()).export_above_v)
    assert math.isinf(points_of(ISLAND, frame()).export_above_v)


def test_ccl_is_not_applied_to_solar_chargers_under_feed_in() -> None:
    """Only the chargers' own size bounds them: CVL has to protect the cells."""
    assert points_of(SELLING, frame(ccl_a=0.0)).charge_limit_a == SELLING.solar_max_a


@pytest.mark.parametrize("plan", [ISLAND, GRID], ids=["island", "grid"])
def test_ccl_bounds_what_is_left_after_the_loads(plan: SystemPlan) -> None:
    """The chargers may give CCL and what the inverter draws."""
    assert points_of(plan, frame(ccl_a=20.0), inverter_a=30.0).charge_limit_a == 50.0
    assert points_of(plan, frame(ccl_a=0.0), inverter_a=30.0).charge_limit_a == 30.0


def test_chargers_are_not_larger_than_they_are() -> None:
    """The limit stays within the size of the installation."""
    assert points_of(ISLAND, frame(ccl_a=500.0), inverter_a=100.0).charge_limit_a == ISLAND.solar_max_a


@pytest.mark.parametrize("dcl_a", [0.1, 5.0, 200.0])
def test_an_island_ignores_dcl(dcl_a: float) -> None:
    """The loads get what they want as long as DCL is above 0."""
    points = points_of(ISLAND, frame(dcl_a=dcl_a))

    assert points.inverting
    assert math.isinf(points.discharge_limit_a)


def test_an_island_goes_dark_at_dcl_zero() -> None:
    """DCL = 0 switches the inverter off; the chargers go on."""
    points = points_of(ISLAND, frame(dcl_a=0.0))

    assert not points.inverting
    assert points.charging


@pytest.mark.parametrize("plan", [GRID, SELLING], ids=["grid", "selling"])
def test_on_the_grid_dcl_is_respected(plan: SystemPlan) -> None:
    """The grid serves what the battery may not."""
    points = points_of(plan, frame(dcl_a=0.0))

    assert points.inverting
    assert points.discharge_limit_a == 0.0


def test_nothing_runs_before_the_first_frame() -> None:
    """A GX without a battery neither charges nor discharges."""
    assert Dvcc(ISLAND).step(0.0, 0.0) == SetPoints()


def test_set_points_change_every_three_seconds_only() -> None:
    """A CVL that changes between two loops has to wait."""
    gx = Dvcc(ISLAND)
    seen: list[float] = []
    for second in range(8):
        gx.receive(frame(cvl_v=50.0 + second), float(second))
        seen.append(gx.step(float(second), 0.0).charge_v)

    assert seen == [50.0, 50.0, 50.0, 53.0, 53.0, 53.0, 56.0, 56.0]


def test_a_lost_bms_stops_charge_and_discharge() -> None:
    """Three seconds without 0x351, and nothing flows."""
    gx = Dvcc(ISLAND)
    gx.receive(frame(), 0.0)
    running = [gx.step(second, 0.0).charging for second in (0.0, 1.0, 2.0, BMS_TIMEOUT_S)]

    assert running == [True, True, True, True]
    assert gx.step(BMS_TIMEOUT_S + 0.5, 0.0) == SetPoints()


def test_a_bms_that_is_back_counts_at_once() -> None:
    """The first frame after a loss is not made to wait for the loop."""
    gx = Dvcc(ISLAND)
    gx.receive(frame(), 0.0)
    gx.step(0.0, 0.0)
    gx.step(4.0, 0.0)
    gx.receive(frame(cvl_v=55.0), 4.5)

    assert gx.step(4.5, 0.0).charge_v == 55.0


def test_devices_keep_their_set_points_while_a_gx_restarts() -> None:
    """For a minute; then they stop by themselves."""
    gx = Dvcc(ISLAND)
    gx.receive(frame(cvl_v=55.0), 0.0)
    before = gx.step(0.0, 0.0)
    gx.stop()

    assert gx.step(30.0, 0.0) == before
    assert gx.step(60.0, 0.0) == before
    assert gx.step(61.0, 0.0) == SetPoints()


def test_a_restarting_gx_hears_nothing() -> None:
    """What was sent meanwhile is gone; it starts with what comes after."""
    gx = Dvcc(ISLAND)
    gx.receive(frame(cvl_v=55.0), 0.0)
    gx.step(0.0, 0.0)
    gx.stop()
    gx.receive(frame(cvl_v=54.0), 89.0)
    gx.start()
    assert gx.frame is None
    assert gx.step(90.0, 0.0) == SetPoints()

    gx.receive(frame(cvl_v=53.0), 91.0)

    assert gx.step(91.0, 0.0).charge_v == 53.0


@given(
    frames=st.lists(st.tuples(st.floats(51.2, 57.6), st.floats(0.0, 180.0), st.floats(0.0, 270.0)), min_size=1),
    selling=st.booleans(),
)
def test_chargers_never_aim_above_what_was_sent(frames: list[tuple[float, float, float]], selling: bool) -> None:
    """Whatever comes, the target is at most the highest CVL, with the rise of feed-in where it is on."""
    gx = Dvcc(SELLING if selling else ISLAND)
    most_v = max(cvl_v for cvl_v, _, _ in frames) + (FEED_IN_RISE_V if selling else 0.0)
    for second, (cvl_v, ccl_a, dcl_a) in enumerate(frames):
        gx.receive(frame(cvl_v, ccl_a, dcl_a), float(second))

        assert gx.step(float(second), 10.0).charge_v <= most_v + 1e-9


def test_the_loop_is_as_long_as_the_document_says() -> None:
    """dvcc.py decides every three seconds."""
    assert LOOP_S == 3.0
    assert BMS_TIMEOUT_S == 3.0

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import (
    Curve,
    DischargeMemory,
    Freshness,
    LimitCode,
    LimitSettings,
    Pause,
    Quantity,
    ResistanceMemory,
    explain,
)
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.discharge import CALM, end_pause, limit_discharge
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.snapshot import Ratings

MakeContext = Callable[..., Context]
MakeDraft = Callable[..., Draft]
MakeEngine = Callable[..., Any]

OHM = 0.002
"""The estimate for cells of 100 Ah at 25 °C."""
LEVEL_V = 2.94
"""Register 301 and 40 mV."""


class Cell:
    """Calls the stage with samples of a pack whose cells are all alike, one second apart."""

    def __init__(self, context: MakeContext, make_draft: MakeDraft, factors: tuple[float, ...] = ()) -> None:
        self._context, self._make_draft = context, make_draft
        self.resistance = ResistanceMemory(factors)
        self.memory = CALM
        self.draft = make_draft()

    def see(self, cell_v: float, current_a: float = 0.0, seconds: float = 1.0, **more: Any) -> float:
        """Return DCL after so many seconds with this sample."""
        flags = {name: more.pop(name) for name in ("fresh", "starting") if name in more}
        context = self._context(max_cell_v=cell_v, delta_mv=0.0, current_a=current_a, **more)
        for _ in range(round(seconds)):
            self.draft = self._make_draft()
            self.memory = limit_discharge(self.draft, context, self.memory, self.resistance, 1.0, **flags)
        return self.draft[Quantity.DCL]

    @property
    def codes(self) -> list[LimitCode]:
        """What the stage gives as causes."""
        return [reason.code for reason in self.draft.reasons[3:]]


@pytest.fixture
def cell(context: MakeContext, make_draft: MakeDraft) -> Cell:
    """Return cells of 100 Ah, register 301 at 2.90 V, DCL 100 A, of which nothing is learned."""
    return Cell(context, make_draft)


@pytest.fixture
def known(context: MakeContext, make_draft: MakeDraft) -> Cell:
    """Return the same with a resistance that is learned: half of the estimate."""
    return Cell(context, make_draft, (0.5,) * 16)


def test_far_from_empty_nothing_is_lowered_or_remembered(cell: Cell, known: Cell) -> None:
    """On the plateau, warm or in frost, with or without a load, the memory stays the very same object."""
    for one in (cell, known):
        for current_a in (0.0, -100.0, 50.0):
            assert one.see(3.25, current_a) == 100.0
            assert one.memory is CALM
    assert cell.see(3.25, -50.0, temperatures_c=(0.0,)) == 100.0


@pytest.mark.parametrize("current_a", [0.0, -10.0, -40.0, 15.0])
def test_dcl_is_the_same_with_every_load(cell: Cell, current_a: float) -> None:
    """A cell of 3.06 V at rest gives 60 A before it is 40 mV above register 301, whatever flows now."""
    dcl_a = cell.see(3.06 + OHM * current_a, current_a, starting=True)

    assert dcl_a == pytest.approx(60.0)
    assert cell.codes == [LimitCode.NEAR_EMPTY]
    assert "cell 1" in explain(cell.draft.reasons[-1])


def test_what_is_learned_counts(known: Cell) -> None:
    """With half of the resistance the same cell gives twice as much."""
    assert known.see(3.02, starting=True) == pytest.approx(80.0)


def test_the_weakest_cell_binds_also_at_rest(context: MakeContext, make_draft: MakeDraft) -> None:
    """One cell has three times the resistance of the others: without load it is not the lowest, and it binds."""
    cells = Cell(context, make_draft, (*(0.5,) * 15, 1.5))
    assert cells.see(3.06, starting=True) == pytest.approx(40.0)


def test_down_within_seconds_and_up_within_minutes(cell: Cell) -> None:
    """A tenth of a minute down, a minute up: a load that comes and goes moves DCL little."""
    cell.see(3.06, starting=True)
    assert 45.0 < cell.see(3.00, seconds=5.0) < 55.0
    low_a = cell.see(3.00, seconds=60.0)
    assert low_a == pytest.approx(30.0, abs=3.0)
    assert cell.see(3.06, seconds=10.0) < 40.0
    assert cell.see(3.06, seconds=180.0) == pytest.approx(60.0, abs=3.5)


def test_at_once_near_the_level(cell: Cell) -> None:
    """Within 20 mV of register 301 nothing waits."""
    cell.see(3.06, starting=True)
    assert cell.see(2.919, -20.0) == pytest.approx(20.0 - (LEVEL_V - 2.919) / OHM)


def test_small_steps_are_left_out(cell: Cell) -> None:
    """Noise of 2 mV moves the voltage and not DCL."""
    first_a = cell.see(3.06, starting=True)
    seen = {cell.see(3.06 + noise_v) for noise_v in (0.002, -0.002, 0.001, -0.001) * 20}
    assert seen == {first_a}


def test_a_single_step_lowers_dcl_and_ends_nothing(context: MakeContext, make_draft: MakeDraft) -> None:
    """What one step has shown is a bound for DCL, also far from empty, and no reason for 0."""
    cell = Cell(context, make_draft)
    cell.resistance = ResistanceMemory(seen=(2.0,) * 16)
    assert cell.see(3.14, starting=True) == pytest.approx(50.0)
    assert cell.see(2.925, -20.0, seconds=60.0) > 0.0


def test_resistance_alone_never_switches_the_lights_off(cell: Cell) -> None:
    """Above the level of an empty cell at least 1 A is left."""
    assert cell.see(2.915, seconds=300.0) == 1.0


def test_two_seconds_at_the_cut_are_empty_and_less_is_not(cell: Cell) -> None:
    """A burst of a second ends nothing; a pause names its time and lasts it."""
    assert cell.see(2.905, -80.0, seconds=2.0) > 0.0
    cell.see(2.95, -80.0)
    assert cell.see(2.905, -80.0, seconds=2.0) > 0.0
    assert cell.see(2.905, -80.0) == 0.0
    assert cell.codes[-1] is LimitCode.EMPTY
    assert "again in 60 s" in explain(cell.draft.reasons[-1])
    assert cell.see(3.05, seconds=59.0) == 0.0
    assert cell.see(3.05) > 0.0


def test_below_register_316_at_once(cell: Cell) -> None:
    """There the BMS switches everything off."""
    assert cell.see(2.49, -80.0) == 0.0


@pytest.mark.parametrize(("current_a", "ends"), [(-20.0, True), (-140.0, False)])
def test_a_sag_ends_discharge_only_where_the_cell_is_empty_at_rest(known: Cell, current_a: float, ends: bool) -> None:
    """Below register 301 and 30 mV for 10 s: with 0.15 V of load it is the burst, with less it is the battery."""
    assert known.see(2.925, current_a, seconds=10.0) > 0.0
    assert (known.see(2.925, current_a, seconds=20.0) == 0.0) is ends


def test_a_load_that_obeys_is_given_less_and_not_nothing(known: Cell) -> None:
    """On a grid DCL finds its way down to the last ampere: nothing is switched off above the level of an empty cell."""
    dcl_a = known.see(2.925, -20.0)
    for _ in range(200):
        dcl_a = known.see(2.925, -dcl_a)
        assert dcl_a > 0.0


def test_what_is_not_learned_ends_nothing_by_rest(cell: Cell) -> None:
    """An estimate is no reason to switch the lights off."""
    assert cell.see(2.925, -20.0, seconds=60.0) > 0.0


@pytest.mark.parametrize("event", [0x02, 0x31])
def test_a_cut_by_the_bms_begins_a_pause(cell: Cell, event: int) -> None:
    """The load is not given back five seconds later, when the BMS is content, but after a minute."""
    assert cell.see(2.95, -80.0, open_events=(event,)) == 0.0
    assert cell.see(3.05, seconds=58.0) == 0.0
    assert cell.see(3.05, seconds=2.0) > 0.0


def test_no_pause_ends_while_the_bms_keeps_the_load_cut(cell: Cell) -> None:
    """However long that is; it is one pause and not many."""
    cell.see(3.05, open_events=(0x31,), seconds=500.0)
    assert cell.memory.pause.on
    assert cell.memory.pause.length_s == 60.0
    assert cell.see(3.05) > 0.0


def test_other_faults_begin_no_pause(cell: Cell) -> None:
    """Heat and over-current are no empty cell."""
    cell.see(3.25, open_events=(0x04, 0x05, 0x37))
    assert not cell.memory.pause.on


def empties(cell: Cell) -> float:
    """Let a load empty a cell; return how long the pause is that follows, its rest included."""
    cell.see(2.905, -80.0, seconds=3.0)
    seconds = 0
    while cell.memory.pause.on:
        cell.see(3.05)
        seconds += 1
        assert seconds < 2000
    return seconds


def test_each_pause_is_twice_as_long(cell: Cell) -> None:
    """A minute, two, four, eight, and a quarter of an hour: a handful of starts in an hour, and no more."""
    assert [empties(cell) for _ in range(6)] == [60.0, 120.0, 240.0, 480.0, 900.0, 900.0]


def test_the_length_is_forgotten_after_six_hours_or_a_tenth_of_charge(cell: Cell) -> None:
    """Another night begins with a minute again; a cloud does not."""
    empties(cell)
    empties(cell)
    cell.see(3.25, seconds=3600.0)
    cell.see(3.25, 9.0, seconds=3600.0)
    assert empties(cell) == 240.0
    cell.see(3.25, 20.0, seconds=1900.0)
    assert empties(cell) == 60.0
    cell.see(3.25, seconds=21600.0)
    assert empties(cell) == 60.0


def test_a_minute_of_charge_ends_a_pause(cell: Cell) -> None:
    """The sun is back: the cell is above register 301 and 0.1 V but for what the current adds to it."""
    for _ in range(5):
        empties(cell)
    cell.see(2.905, -80.0, seconds=3.0)
    assert cell.see(3.03, 20.0, seconds=120.0) == 0.0, "of which 40 mV are the current's"
    assert cell.see(3.06, 0.5, seconds=120.0) == 0.0, "a current that may be none"
    assert cell.see(3.06, 20.0, seconds=59.0) == 0.0
    assert cell.see(3.06, 20.0) > 0.0


def test_an_empty_cell_at_rest_waits_for_charge(cell: Cell) -> None:
    """What has not recovered by 60 mV would be back at once: the pause goes on."""
    cell.see(2.905, -80.0, seconds=3.0)
    assert cell.see(2.95, seconds=5000.0) == 0.0
    assert cell.see(2.97) > 0.0


def test_a_person_ends_a_pause(cell: Cell) -> None:
    """The loads come back at once, and the next pause is a first one; an empty cell ends them again."""
    empties(cell)
    cell.see(2.905, -80.0, seconds=3.0)
    cell.memory = end_pause(cell.memory)
    assert cell.see(2.95, -10.0) > 0.0
    cell.see(2.905, -80.0, seconds=3.0)
    assert cell.memory.pause == Pause(True, 60.0)


def test_without_fresh_data_everything_stands(cell: Cell) -> None:
    """Neither a pause nor a limit moves by samples that are old."""
    cell.see(2.905, -80.0, seconds=3.0)
    before = cell.memory
    assert cell.see(3.25, seconds=600.0, fresh=False) == 0.0
    assert cell.memory == before


def test_without_a_capacity_the_voltage_decides(context: MakeContext, make_draft: MakeDraft) -> None:
    """A register 306 that makes no sense invents no limit, and an empty cell is empty all the same."""
    cell = Cell(context, make_draft)
    ratings: Any = replace(context().ratings, capacity_ah=math.nan)
    assert cell.see(2.95, -80.0, ratings=ratings, seconds=100.0) == 100.0
    assert cell.see(2.905, -80.0, ratings=ratings, seconds=3.0) == 0.0


def test_factors_of_another_pack_do_not_count(context: MakeContext, make_draft: MakeDraft) -> None:
    """Learned of eight cells, asked for sixteen: the estimate counts."""
    assert Cell(context, make_draft, (0.5,) * 8).see(3.06, starting=True) == pytest.approx(60.0)


def test_a_curve_of_the_user_works_on_top(make_engine: MakeEngine) -> None:
    """It ends discharging where it says, until it is at its best again."""
    curve = Curve(((3.0, 0.0), (3.2, 1.0)))
    engine = make_engine(LimitSettings(curves=(("discharge_by_cell_voltage", curve),)))
    seen = [engine.feed(max_cell_v=cell_v, delta_mv=0.0).dcl_a for cell_v in (3.1, 3.0, 3.1, 3.19, 3.2)]

    assert [dcl_a > 0.0 for dcl_a in seen] == [True, False, False, False, True]


def test_a_pause_survives_a_restart(make_engine: MakeEngine) -> None:
    """A bridge that restarts does not switch the lights on into an empty battery."""
    engine = make_engine()
    assert engine.last_for(5.0, max_cell_v=2.905, delta_mv=0.0, current_a=-80.0).dcl_a == 0.0
    engine.restart()
    assert engine.last_for(30.0, max_cell_v=3.05, delta_mv=0.0).dcl_a == 0.0
    assert engine.last_for(60.0, max_cell_v=3.05, delta_mv=0.0).dcl_a > 0.0


def test_one_reading_begins_no_pause(make_engine: MakeEngine) -> None:
    """A single reading of an empty cell is no empty cell."""
    engine = make_engine(start_samples=3)
    engine.last_for(10.0, max_cell_v=3.25, delta_mv=0.0)
    engine.offer(max_cell_v=2.2, delta_mv=0.0)
    engine.last_for(10.0, max_cell_v=3.25, delta_mv=0.0)
    assert engine.memory.discharge is CALM


def test_old_data_is_no_time(make_engine: MakeEngine) -> None:
    """A pause does not pass while nobody knows how the cells are."""
    engine = make_engine()
    engine.last_for(5.0, max_cell_v=2.905, delta_mv=0.0, current_a=-80.0)
    left_s = engine.memory.discharge.pause.left_s
    engine.wait(20.0)
    assert engine.limits.freshness is Freshness.HOLD
    assert engine.memory.discharge.pause.left_s >= left_s - 4.0


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(
    lives=st.lists(
        st.tuples(
            st.floats(2.3, 3.6),
            st.floats(-300.0, 300.0),
            st.sampled_from([1.0, 3.0, 70.0]),
            st.booleans(),
            st.booleans(),
        ),
        max_size=12,
    ),
    factors=st.just(()) | st.lists(st.floats(0.3, 3.0), min_size=16, max_size=16).map(tuple),
)
def test_any_life_keeps_its_promises(
    context: MakeContext,
    make_draft: MakeDraft,
    lives: list[tuple[float, float, float, bool, bool]],
    factors: tuple[float, ...],
) -> None:
    """DCL is 0 only in a pause and at least 1 A beside it; a pause has its length; what is remembered is bounded."""
    cell = Cell(context, make_draft, factors)
    for cell_v, current_a, seconds, cut, fresh in lives:
        before = cell.memory
        dcl_a = cell.see(cell_v, current_a, seconds, open_events=(0x31,) if cut else (), fresh=fresh)
        pause = cell.memory.pause
        assert (dcl_a == 0.0) == pause.on
        assert 0.0 <= dcl_a <= 100.0
        assert dcl_a == 0.0 or dcl_a >= 1.0
        assert pause.length_s in (0.0, 60.0, 120.0, 240.0, 480.0, 900.0)
        assert fresh or cell.memory == before
        assert not (fresh and cut) or pause.on
        if cell.memory.limit_a is not None:
            assert 0.0 < cell.memory.limit_a < 100.0


def test_memory_of_a_calm_battery_is_shared() -> None:
    """The default is the object by which nothing to do is known."""
    assert DischargeMemory() == CALM


def test_ratings_of_the_fixture(context: MakeContext) -> None:
    """What the numbers above rest on."""
    ratings: Ratings = context().ratings
    assert (ratings.fully_discharged_cell_v, ratings.under_voltage_cell_v, ratings.capacity_ah) == (2.9, 2.5, 100.0)

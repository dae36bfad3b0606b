import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits import (
    DischargeMemory,
    Freshness,
    LimitCode,
    Limits,
    LimitSettings,
    Memory,
    Quantity,
    step,
)
from tinybms_bridge.battery.limits.readings import DoubtMemory, Outlier, loose_wires, next_doubts, place_of_cells
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.snapshot import BmsStatus, Cells, PackValues, Snapshot, Temperatures

MakeEngine = Callable[..., Any]
MakeSnapshot = Callable[..., Snapshot]
Sample = Callable[..., Snapshot]

REST_V = 3.33
CELLS_V = (REST_V,) * 16


class Watch:
    """Doubts over a row of readings, ten a second."""

    def __init__(self, make_snapshot: MakeSnapshot) -> None:
        self._make = make_snapshot
        self._window: list[Snapshot] = []
        self.memory = DoubtMemory()
        self.found: list[Outlier] = []

    def read(self, cells_v: Sequence[float], current_a: float = 0.0, times: int = 1) -> DoubtMemory:
        """Take a reading some times."""
        for _ in range(times):
            self._window = [*self._window[-4:], self._make(cells_v=tuple(cells_v), current_a=current_a)]
            if len(self._window) == 5:
                columns = zip(*[each.cells.voltages_v for each in self._window], strict=True)
                span_v = max(max(column) - min(column) for column in columns)
                self.memory = next_doubts(self.memory, self._window, span_v, 0.1)
                self.found += self.memory.latest
        return self.memory


@pytest.fixture
def watch(make_snapshot: MakeSnapshot) -> Watch:
    """A battery at rest that was read ten times."""
    made = Watch(make_snapshot)
    made.read(CELLS_V, times=10)
    return made


def off(changes_v: dict[int, float], base: Sequence[float] = CELLS_V) -> tuple[float, ...]:
    """Return the cells with some of them (from 1) off."""
    return tuple(round(v + changes_v.get(n, 0.0), 4) for n, v in enumerate(base, start=1))


@pytest.mark.parametrize("off_v", [0.4, -0.45, 0.05])
@pytest.mark.parametrize("readings", [1, 2])
def test_an_outlier_is_told_with_its_cell(watch: Watch, off_v: float, readings: int) -> None:
    """One or two readings of cell 7: it is in doubt at once, told when it is over, and then all is quiet."""
    assert watch.read(off({7: off_v})).cells == (7,)
    watch.read(off({7: off_v}), times=readings - 1)
    watch.read(CELLS_V, times=8)

    assert {outlier.cells for outlier in watch.found} == {(7,)}
    assert all(outlier.off_v == pytest.approx(off_v) for outlier in watch.found)
    assert watch.memory.cells == ()
    assert watch.memory.count == len(watch.found) == readings


@pytest.mark.parametrize("first", [1, 7, 15])
def test_two_neighbours_against_each_other_are_one_wire(watch: Watch, first: int) -> None:
    """The sum is unchanged: what moved is the wire between them."""
    watch.read(off({first: 0.3, first + 1: -0.3}))
    watch.read(CELLS_V, times=5)

    assert [outlier.cells for outlier in watch.found] == [(first, first + 1)]
    assert place_of_cells(watch.found[0].cells).text == f"the wire between cells {first} and {first + 1}"


def test_a_step_of_current_is_no_outlier(watch: Watch) -> None:
    """A load on and off: all cells move, a weak one three times as far; nothing is in doubt."""
    for current_a in (-80.0, 0.0, -80.0):
        sag_v = -0.06 if current_a else 0.0
        cells_v = off({5: 2.0 * sag_v}, [v + sag_v for v in CELLS_V])
        for _ in range(2):
            assert watch.read(cells_v, current_a).cells == ()

    assert watch.found == []


def test_a_step_of_current_hides_no_outlier(watch: Watch) -> None:
    """What one cell does beyond any resistance is still seen."""
    cells_v = off({5: -0.5}, [v - 0.06 for v in CELLS_V])

    assert watch.read(cells_v, -80.0).cells == (5,)


def test_a_real_change_is_in_doubt_and_no_outlier(watch: Watch) -> None:
    """A cell that stays where it went was right."""
    assert watch.read(off({7: -0.4})).cells == (7,)
    watch.read(off({7: -0.4}), times=10)

    assert watch.memory.cells == ()
    assert watch.found == []


@pytest.mark.parametrize(("every", "loose"), [(2, True), (20, True), (120, False)])
def test_a_cell_that_is_often_in_doubt_has_a_loose_wire(watch: Watch, every: int, loose: bool) -> None:
    """More than a tenth of the time is an alarm, an outlier every 12 s is none; it ends when the readings are firm."""
    for number in range(2400):
        watch.read(off({7: 0.3, 8: -0.3}) if number % every == 0 else CELLS_V)

    assert watch.memory.loose == ((7, 8) if loose else ())
    assert loose_wires(watch.memory) == (((7, 8),) if loose else ())
    watch.read(CELLS_V, times=6000)
    assert watch.memory.loose == ()


def test_a_rest_forgets(watch: Watch) -> None:
    """With nothing in doubt for long no share is left to be worked on."""
    watch.read(off({7: 0.3}))
    watch.read(CELLS_V, times=6000)

    assert watch.memory == replace(DoubtMemory(), count=1)


def test_cells_in_words() -> None:
    """One, a wire, or several."""
    names = [place_of_cells(cells).text for cells in ((3,), (3, 4), (3, 5))]

    assert names == ["cell 3", "the wire between cells 3 and 4", "cells 3, 5"]


def numbers(limits: Limits) -> tuple[float, float, float]:
    """Return CVL, CCL and DCL."""
    return limits.cvl_v, limits.ccl_a, limits.dcl_a


def rested(make_engine: MakeEngine, **more: Any) -> Any:
    """Return an engine that has seen a battery at rest for a while."""
    engine = make_engine(start_samples=3, **more)
    for _ in range(60):
        engine.offer(every_s=1.0, cells_v=CELLS_V, current_a=40.0)
    for _ in range(5):
        engine.offer(cells_v=CELLS_V, current_a=40.0)
    return engine


@pytest.mark.parametrize("off_v", [0.4, 0.49, -0.45, -0.75])
@pytest.mark.parametrize("readings", [1, 2])
def test_what_is_not_confirmed_changes_nothing(make_engine: MakeEngine, off_v: float, readings: int) -> None:
    """One or two readings of one cell, high or low: no limit moves, nothing is learned, and the cell is named."""
    engine = rested(make_engine)
    before, learned = numbers(engine.limits), engine.memory.protection
    for _ in range(readings):
        engine.offer(cells_v=off({7: off_v}), current_a=40.0)
        assert engine.memory.readings.read_again
        assert numbers(engine.limits) == before
    for _ in range(5):
        engine.offer(cells_v=CELLS_V, current_a=40.0)
        assert numbers(engine.limits) == before

    assert engine.memory.protection == learned
    assert engine.memory.discharge == DischargeMemory()
    assert not engine.memory.readings.in_doubt
    assert engine.memory.readings.doubts.count >= 1


@pytest.mark.parametrize(("off_v", "quantity"), [(0.4, Quantity.CCL), (-0.85, Quantity.DCL)])
@pytest.mark.parametrize("every_s", [0.075, 0.1])
def test_a_real_cut_counts_with_the_third_reading(
    make_engine: MakeEngine, off_v: float, quantity: Quantity, every_s: float
) -> None:
    """Read again at once, a cell that is really too high or too low cuts its current after 0.15 to 0.2 s."""
    engine = rested(make_engine)
    cut = []
    for _ in range(3):
        engine.offer(every_s=every_s, cells_v=off({7: off_v}), current_a=40.0)
        cut.append(getattr(engine.limits, quantity) == 0.0)

    assert cut == [False, False, True]


def test_equal_images_of_the_bms_count_by_time(make_engine: MakeEngine) -> None:
    """Ten reads within one refresh of the BMS show one image ten times: it counts no more than once."""
    engine = rested(make_engine)
    before = numbers(engine.limits)
    for _ in range(10):
        engine.offer(every_s=0.01, cells_v=off({7: -0.85}), current_a=40.0)

    assert numbers(engine.limits) == before


def test_a_pulsed_cell_ends_discharge(make_engine: MakeEngine) -> None:
    """A cell that is at 2.48 V in every second reading, as under a pulsed load, does not leave DCL as it was."""
    engine = rested(make_engine)
    full_a, seen = engine.limits.dcl_a, []
    for number in range(60):
        engine.offer(every_s=1.0, cells_v=off({7: -0.85} if number % 2 else {}), current_a=-40.0)
        seen.append(engine.limits.dcl_a)

    assert max(seen[6:]) < 0.1 * full_a
    assert min(seen[6:]) == 0.0
    assert engine.memory.readings.doubts.loose == (7,)
    assert engine.limits.loose_wires == ((7,),)


def test_before_three_readings_nothing_is_decided_or_learned(make_engine: MakeEngine) -> None:
    """The first readings after a start may be wrong as well: of three the middle one counts."""
    engine = make_engine(start_samples=3)
    for number in range(3):
        assert engine.limits is None
        assert engine.memory.protection.cap_v is None
        engine.offer(cells_v=off({7: 0.42} if number == 1 else {}))

    assert engine.limits.freshness is Freshness.FRESH
    assert engine.memory.protection.cap_v is None
    assert engine.memory.counted.cells.voltages_v == CELLS_V


def test_readings_from_before_a_gap_are_forgotten(make_engine: MakeEngine) -> None:
    """After a silence the old readings out-vote nothing: what counts are the three that end it."""
    engine = rested(make_engine)
    engine.wait(8.0)
    for _ in range(3):
        engine.offer(cells_v=off({7: -0.85}))

    assert engine.limits.freshness is Freshness.FRESH
    assert engine.limits.dcl_a == 0.0


def test_a_sample_that_comes_too_soon_ends_no_silence(make_engine: MakeEngine) -> None:
    """Data is fresh again when what counts is: not with three samples of one image while old readings still count."""
    engine = rested(make_engine)
    engine.wait(8.0)
    for every_s in (0.1, 0.02, 0.02):
        engine.offer(every_s=every_s, cells_v=off({7: -0.85}))
        assert engine.limits.freshness is Freshness.HOLD
    for _ in range(2):
        engine.offer(cells_v=off({7: -0.85}))

    assert engine.limits.freshness is Freshness.FRESH
    assert engine.limits.dcl_a == 0.0


def test_what_the_bms_says_counts_at_once(make_engine: MakeEngine) -> None:
    """A fault or an event of the BMS needs no confirmation."""
    for said in ({"pack": {"status": BmsStatus.FAULT}}, {"open_events": (0x02,)}):
        engine = rested(make_engine)
        engine.offer(cells_v=CELLS_V, **said)
        assert engine.limits.ccl_a == 0.0 or engine.limits.dcl_a == 0.0


def test_a_full_battery_is_confirmed(make_engine: MakeEngine) -> None:
    """From status 0x92 a full charge is learned: one reading of it is none."""
    engine = rested(make_engine)
    engine.last_for(60.0, max_cell_v=3.64, current_a=10.0)
    said = {"max_cell_v": 3.64, "pack": {"status": BmsStatus.FULLY_CHARGED}}
    engine.offer(**said)
    assert not engine.limits.full
    assert engine.memory.policy.full_at_lifetime_s is None
    engine.offer(**said)
    engine.offer(**said)

    assert engine.limits.full


@pytest.mark.parametrize(("soc", "again"), [(50.9, False), (51.1, True), (48.9, True), (80.0, True)])
def test_a_jump_of_soc_is_read_again_and_counts_when_it_lasts(make_engine: MakeEngine, soc: float, again: bool) -> None:
    """A counter that is set anew is real; one reading of it moves nothing."""
    engine = rested(make_engine)
    engine.offer(cells_v=CELLS_V, soc=soc)
    assert engine.memory.counted.pack.soc_percent == 50.0
    assert engine.memory.readings.read_again is again
    engine.offer(cells_v=CELLS_V, soc=soc)
    engine.offer(cells_v=CELLS_V, soc=soc)

    assert engine.memory.counted.pack.soc_percent == soc
    assert engine.memory.counted.pack.soc_known


def test_an_soc_that_cannot_be_is_counted_on(make_engine: MakeEngine) -> None:
    """50 A into 100 Ah for 36 s is half a percent more; it is told as not known, and again as known when it is back."""
    engine = rested(make_engine)
    for _ in range(36):
        engine.offer(every_s=1.0, cells_v=CELLS_V, current_a=50.0, soc=4294.0)
    sample = engine.memory.sample
    assert sample.pack.soc_percent == pytest.approx(50.5)
    assert not engine.limits.soc_known
    engine.feed(3, cells_v=CELLS_V, soc=50.5)

    assert engine.limits.soc_known


def test_an_soc_that_is_counted_on_is_never_full(make_engine: MakeEngine) -> None:
    """However long it charges: full is what cells and BMS say."""
    engine = make_engine()
    engine.feed(3, cells_v=CELLS_V, soc=99.9)
    for _ in range(60):
        engine.offer(every_s=1.0, cells_v=CELLS_V, current_a=90.0, soc=110.0)

    assert engine.memory.sample.pack.soc_percent == 99.0


def test_the_last_soc_is_known_after_a_restart(make_engine: MakeEngine) -> None:
    """A counter that is absurd over a restart of the bridge goes on from what counted last; without one from half."""
    engine = rested(make_engine)
    engine.feed(5, cells_v=CELLS_V, soc=72.0)
    engine.restart()
    engine.feed(3, cells_v=CELLS_V, soc=math.nan)
    assert engine.memory.sample.pack.soc_percent == pytest.approx(72.0)
    new = make_engine()
    new.feed(3, cells_v=CELLS_V, soc=math.nan)

    assert new.memory.sample.pack.soc_percent == 50.0


@pytest.mark.parametrize("celsius", [200.0, -60.1, 327.6, math.nan])
def test_a_temperature_that_cannot_be_is_a_lost_sensor(make_engine: MakeEngine, celsius: float) -> None:
    """Its last reading limits charging, the others go on, and nothing is held."""
    engine = make_engine()
    engine.last_for(60.0, cells_v=CELLS_V, temperatures_c=(25.0, 5.0))
    before = numbers(engine.limits)
    engine.offer(cells_v=CELLS_V, temperatures_c=(25.0, celsius))
    assert engine.limits.lost_sensors == ()
    engine.last_for(60.0, cells_v=CELLS_V, temperatures_c=(25.0, celsius))

    assert numbers(engine.limits)[1:] == before[1:]
    assert engine.limits.lost_sensors == ("external sensor 1",)
    assert engine.limits.freshness is Freshness.FRESH


def test_an_absurd_pack_voltage_is_the_sum_of_the_cells(make_engine: MakeEngine) -> None:
    """Register 36 alone makes no limit: what it gets wrong the cells say."""
    engine = rested(make_engine)
    engine.feed(5, cells_v=CELLS_V, pack={"voltage_v": math.nan})

    assert engine.memory.counted.pack.voltage_v == pytest.approx(16 * REST_V)
    assert engine.limits.freshness is Freshness.FRESH


def test_a_ramp_waits_for_a_doubt_and_goes_on(make_engine: MakeEngine) -> None:
    """While a reading is in doubt CCL does not rise; afterwards it goes on from where it was."""
    engine = make_engine(start_samples=3)
    for _ in range(5):
        engine.offer(cells_v=CELLS_V)
    engine.offer(cells_v=CELLS_V, open_events=(0x06,))
    for _ in range(50):
        engine.offer(cells_v=CELLS_V)
    rising_a = engine.limits.ccl_a
    engine.offer(cells_v=off({7: -0.3}))
    assert 0.0 < engine.limits.ccl_a == rising_a
    for _ in range(5):
        engine.offer(cells_v=CELLS_V)
    engine.offer(cells_v=CELLS_V)

    assert rising_a < engine.limits.ccl_a < rising_a + 3.0


absurd = st.floats() | st.sampled_from([0.0, -1.0, 6.5535, 65535.0, 4294.967, math.nan, math.inf])
possible_v = st.floats(0.5, 5.0)
one_cell = st.tuples(st.integers(0, 15), possible_v | absurd).map(lambda pair: ("cell", pair))
neighbours = st.tuples(st.integers(0, 14), st.floats(-0.8, 0.8)).map(lambda pair: ("wire", pair))
pack_field = st.tuples(
    st.sampled_from(["voltage_v", "current_a", "soc_percent", "lifetime_s"]), absurd | st.floats(0.0, 100.0)
).map(lambda pair: ("pack", pair))
status = st.sampled_from([s for s in BmsStatus if s is not BmsStatus.FAULT]).map(lambda s: ("pack", ("status", s)))
sensor = st.tuples(st.sampled_from(["internal_c", "external_1_c"]), absurd | st.none() | st.floats(-60.0, 150.0)).map(
    lambda pair: ("sensor", pair)
)


def spoiled(snapshot: Snapshot, what: tuple[str, tuple[Any, Any]]) -> Snapshot:
    """Return a sample with one thing wrong."""
    kind, (where, value) = what
    cells = list(snapshot.cells.voltages_v)
    if kind == "cell":
        cells[where] = value
    elif kind == "wire":
        cells[where], cells[where + 1] = cells[where] + value, cells[where + 1] - value
    elif kind == "pack":
        changed: Any = int(abs(value)) if where == "lifetime_s" and math.isfinite(value) else value
        if where == "lifetime_s" and not isinstance(changed, int):
            return snapshot
        return replace(snapshot, pack=replace(snapshot.pack, **{where: changed}))
    else:
        return replace(snapshot, temperatures=replace(snapshot.temperatures, **{where: value}))
    return replace(snapshot, cells=Cells(tuple(cells)))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    what=one_cell | neighbours | pack_field | status | sensor,
    at=st.integers(0, 7),
    cell_v=st.sampled_from([3.0, 3.33, 3.5, 3.66]),
    current_a=st.sampled_from([-60.0, 0.0, 1.0, 30.0]),
)
def test_no_single_sample_changes_a_limit_or_what_is_saved(
    make_snapshot: Sample, what: tuple[str, tuple[Any, Any]], at: int, cell_v: float, current_a: float
) -> None:
    """Whatever is wrong in one sample, the first included: limits and memory are as with a good one in its place."""

    def life(*, dirty: bool) -> tuple[list[Any], SavedState]:
        memory, seen, asked = Memory(), [], LimitSettings()
        for number in range(12):
            now_s = 100.0 + number / 10
            cells_v = tuple(cell_v + n / 1000 for n in range(16))
            good = make_snapshot(cells_v=cells_v, sequence=number + 1, taken_at_s=now_s, current_a=current_a, soc=60.0)
            good = replace(good, temperatures=Temperatures(20.0, 12.0), pack=replace(good.pack, lifetime_s=5000))
            limits, memory = step(spoiled(good, what) if dirty and number == at else good, asked, memory, now_s)
            seen.append(None if limits is None else numbers(limits))
        return seen[8:], SavedState.of(EnergyTotals(), memory)

    clean_limits, clean_saved = life(dirty=False)
    dirty_limits, dirty_saved = life(dirty=True)

    for clean, dirty in zip(clean_limits, dirty_limits, strict=True):
        assert dirty == pytest.approx(clean, abs=1.0)
    assert latched(dirty_saved) == latched(clean_saved)
    for name in ("percent", "bms_percent", "since_full_ah"):
        assert getattr(dirty_saved.memory.soc, name) == pytest.approx(getattr(clean_saved.memory.soc, name), abs=0.01)
    assert dirty_saved.memory.soc.anchors == clean_saved.memory.soc.anchors


def latched(saved: SavedState) -> tuple[object, ...]:
    """Return what is learned; times that run differ by a sample that was not used."""
    memory = saved.memory
    return (
        replace(memory.states, hold_elapsed_s=0.0),
        replace(memory.policy, tail_s=0.0),
        memory.protection.knee_v,
        replace(memory.sensors, blind_s=0.0),
        memory.too_cold_or_hot,
        memory.discharge,
        memory.stop.level_v,
    )


def test_reasons_name_a_battery_without_temperature(make_engine: MakeEngine) -> None:
    """A stop for want of any sensor has a reason of its own."""
    engine = make_engine()
    engine.feed(3, cells_v=CELLS_V, temperatures_c=(None,))

    assert engine.limits.ccl_a == 0.0
    assert engine.limits.binding(Quantity.CCL).code is LimitCode.NO_TEMPERATURE
    assert engine.limits.dcl_a > 0.0


def test_a_pack_state_is_known_by_default() -> None:
    """Only what cannot be is unknown."""
    assert PackValues(50.0, 0.0, 50.0).soc_known

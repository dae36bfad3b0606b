"""The bridge's own count: of the current, set right at full, with the BMS's count over gaps only."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinybms_bridge.battery.energy import EnergyTotals
from tinybms_bridge.battery.limits import PRESETS, Anchors, Chemistry, Memory, SocMemory, SocSource
from tinybms_bridge.battery.limits.soc_count import next_anchors, next_count, set_count, with_count
from tinybms_bridge.battery.saved_state import SavedState
from tinybms_bridge.battery.snapshot import BmsStatus, PackValues, Ratings, Snapshot

MakeEngine = Callable[..., Any]
LFP = PRESETS[Chemistry.LFP]
DAY_S = 86400.0


@dataclass
class Counter:
    """The count with its clock, and a BMS that counts beside it, in the hand of the test."""

    ratings: Ratings
    memory: SocMemory = field(default_factory=SocMemory)
    bms_percent: float = 50.0
    now_s: float = 100.0
    lifetime_s: float = 5000.0
    known: bool = True
    fresh_s: float = 3.0

    def flow(self, hours: float, current_a: float, *, every_s: float = 5.0, seen: bool = True) -> SocMemory:
        """Let a current flow; unless it is ``seen``, only the BMS counts it."""
        for _ in range(round(hours * 3600.0 / every_s)):
            self.now_s += every_s
            self.lifetime_s += every_s
            change = current_a * every_s / 36.0 / self.ratings.capacity_ah
            self.bms_percent = min(max(self.bms_percent + change, 0.0), 100.0)
            if seen:
                self.see(current_a)
        return self.memory

    def see(self, current_a: float = 0.0) -> SocMemory:
        """Hand over one sample."""
        pack = PackValues(52.8, current_a, self.bms_percent, lifetime_s=int(self.lifetime_s), soc_known=self.known)
        self.memory = next_count(self.memory, Snapshot(1, self.now_s, pack, None), self.ratings, self.fresh_s)  # type: ignore[arg-type]  # a count asks for no cell
        return self.memory

    def settle(self, lowest_v: float = 3.33, **found: bool) -> SocMemory:
        """Tell what the cells show."""
        known = {"full": False, "charged": False, "uneven": False, "empty": False} | found
        self.memory = next_anchors(self.memory, LFP, 1.0, lowest_v, self.ratings, **known)
        return self.memory

    def full(self) -> SocMemory:
        """Let the battery be full for a moment."""
        self.settle(full=True)
        return self.settle()

    def restart(self) -> None:
        """Begin again with what is saved; the clock of the process begins anew."""
        document = json.loads(json.dumps(SavedState.of(EnergyTotals(), Memory(soc=self.memory)).to_document()))
        self.memory, self.now_s = SavedState.from_document(document).memory.soc, 3.0


@pytest.fixture(name="counter")
def _counter(make_ratings: Callable[..., Ratings]) -> Counter:
    """Return a count of 280 Ah that has begun at 50 %."""
    made = Counter(make_ratings(capacity_ah=280.0, charge_over_current_a=140.0, discharge_over_current_a=200.0))
    made.see()
    return made


def test_it_begins_with_the_count_of_the_bms(counter: Counter) -> None:
    """Nothing is known better at the first start."""
    assert (counter.memory.percent, counter.memory.bms_percent) == (50.0, 50.0)


def test_it_begins_when_the_bms_gives_a_count(make_ratings: Callable[..., Ratings]) -> None:
    """An SOC that cannot be begins nothing, also not with a figure that stands for it."""
    counter = Counter(make_ratings(), known=False)
    assert counter.see().percent is None
    counter.known = True
    assert counter.flow(0.01, 0.0).percent == 50.0


def test_it_counts_the_current(counter: Counter) -> None:
    """Register 38 by the trapezoidal rule, in Ah of register 306."""
    assert counter.flow(1.0, 28.0).percent == pytest.approx(60.0, abs=0.02)
    assert counter.flow(2.0, -28.0).percent == pytest.approx(40.0, abs=0.02)


def test_the_same_sample_counts_once(counter: Counter) -> None:
    """Steps without a new sample leave the memory as it is."""
    before = counter.memory
    assert counter.see(50.0) is before


@pytest.mark.parametrize("leap", [30.0, -30.0])
def test_a_leap_of_the_bms_moves_the_offset(counter: Counter, leap: float) -> None:
    """Somebody writes register 328: the state of charge is what it was."""
    counter.bms_percent += leap
    after = counter.flow(0.1, 0.0)
    assert after.percent == pytest.approx(50.0)
    assert after.bms_percent == pytest.approx(50.0 + leap)


@pytest.mark.parametrize("restart", [False, True])
def test_the_bms_bridges_a_gap(counter: Counter, *, restart: bool) -> None:
    """What flowed while nobody looked is the change of the BMS's count, not its value."""
    counter.bms_percent = 70.0
    counter.flow(0.1, 0.0)
    counter.flow(2.0, 28.0, seen=False)
    if restart:
        counter.restart()
    assert counter.see(28.0).percent == pytest.approx(70.0, abs=0.05)
    assert counter.memory.bms_percent == pytest.approx(90.0, abs=0.01)


def test_a_restart_of_the_machine_has_a_clock_of_its_own(counter: Counter) -> None:
    """Monotonic time begins at 0 again: the lifetime counter of the BMS tells how long the gap was."""
    counter.flow(1.0, -28.0, seen=False)
    counter.restart()
    assert counter.see(-28.0).percent == pytest.approx(40.0, abs=0.05)


@pytest.mark.parametrize(("start", "current_a"), [(0.0, 28.0), (100.0, -28.0), (95.0, 28.0), (4.0, -28.0)])
def test_a_count_at_its_end_bridges_nothing(counter: Counter, start: float, current_a: float) -> None:
    """Standing at 0 or 100 % it has lost what flowed before, or what flows still."""
    counter.bms_percent = start
    counter.flow(0.1, 0.0)
    counter.flow(1.0, current_a, seen=False)
    assert counter.see().percent == pytest.approx(50.0)


def test_a_battery_that_both_say_is_full_is_bridged(counter: Counter) -> None:
    """Where the bridge says the same, the BMS has just come to its end and loses nothing."""
    counter.bms_percent = 100.0
    counter.flow(0.01, 0.0)
    counter.full()
    counter.flow(1.0, -28.0, seen=False)
    assert counter.see().percent == pytest.approx(90.0, abs=0.05)


@pytest.mark.parametrize("restart", [False, True])
def test_a_leap_in_a_gap_bridges_nothing(counter: Counter, *, restart: bool) -> None:
    """No current that the BMS lets flow makes 30 % in a minute."""
    counter.flow(1.0 / 60.0, 0.0, seen=False)
    counter.bms_percent = 80.0
    if restart:
        counter.restart()
    assert counter.see().percent == pytest.approx(50.0)


def test_a_counter_that_was_set_back_bridges_nothing(counter: Counter) -> None:
    """Another BMS, or one that begins anew: its count is not about the same time."""
    counter.flow(1.0, -28.0, seen=False)
    counter.lifetime_s = 10.0
    counter.restart()
    assert counter.see().percent == pytest.approx(50.0)


def test_full_sets_it_right_once(counter: Counter) -> None:
    """Full is 100 % whatever was counted; then it counts down, also while the battery still counts as full."""
    assert counter.settle(full=True).percent == 100.0
    counter.flow(0.2, -28.0)
    assert counter.settle(full=True).percent == pytest.approx(98.0, abs=0.05)
    assert counter.flow(1.0, 28.0).percent == 100.0
    assert counter.memory.anchors.off_percent == pytest.approx(-50.0)


def test_the_bms_saying_full_sets_it_right_again(counter: Counter) -> None:
    """0x63 while the battery is full already."""
    counter.settle(full=True)
    counter.flow(0.2, -28.0)
    assert counter.settle(full=True, charged=True).percent == 100.0


def test_a_restart_while_full_sets_nothing(counter: Counter) -> None:
    """That the count was set for this full battery is saved, or the evening's restart would say 100 %."""
    counter.settle(full=True)
    counter.flow(0.2, -28.0)
    counter.settle(full=True)
    counter.restart()
    counter.see(-28.0)
    assert counter.settle(full=True).percent == pytest.approx(98.0, abs=0.05)


def test_an_uneven_end_is_at_least_95(counter: Counter) -> None:
    """The charge is over with one cell full; a count that is higher stays."""
    assert counter.settle(uneven=True).percent == 95.0
    counter.memory = replace(counter.memory, percent=97.0, anchors=Anchors())
    assert counter.settle(uneven=True).percent == 97.0


@pytest.mark.parametrize(("start", "current_a", "end"), [(90.0, 40.0, 99.0), (10.0, -40.0, 1.0)])
def test_a_count_alone_is_never_full_or_empty(counter: Counter, start: float, current_a: float, end: float) -> None:
    """With register 306 too low by 30 % it comes to its ends before the battery does."""
    counter.memory = replace(counter.memory, percent=start)
    assert counter.flow(2.0, current_a).percent == end


def test_cells_that_end_discharging_let_it_come_to_0(counter: Counter) -> None:
    """Then it is not the count alone that says so."""
    counter.memory = replace(counter.memory, percent=2.0)
    counter.settle(empty=True)
    assert counter.flow(1.0, -28.0).percent == 0.0


def test_rested_cells_near_empty_lower_it(counter: Counter) -> None:
    """After half an hour without current, 3.10 V is nearly empty whatever was counted; a plateau says nothing."""
    counter.flow(0.4, 0.0)
    assert counter.settle(3.10).percent == 50.0
    counter.flow(0.2, 0.0)
    assert counter.settle(3.25).percent == 50.0
    assert counter.settle(3.10).percent == pytest.approx(7.7, abs=0.1)
    counter.flow(0.1, -1.0)
    counter.memory = replace(counter.memory, percent=50.0)
    assert counter.settle(3.10).percent == 50.0


def day(counter: Counter, offset_a: float, dead_a: float = 0.0) -> Iterator[float]:
    """Let 150 Ah out and in again through a sensor with an offset; yields the true SOC hour by hour."""
    true_ah = 280.0
    for hour in range(24):
        true_a = -10.0 if hour < 15 else (150.0 / 6.0 if hour < 21 else 0.0)
        read_a = true_a + offset_a
        counter.flow(1.0, 0.0 if abs(read_a) < dead_a else read_a, every_s=300.0)
        true_ah = min(280.0, true_ah + true_a)
        yield 100.0 * true_ah / 280.0


@pytest.mark.parametrize("offset_a", [0.3, -0.3])
@pytest.mark.parametrize("dead_a", [0.0, 0.8])
@pytest.mark.parametrize("every", [1, 3])
def test_two_months_with_an_offset(counter: Counter, offset_a: float, dead_a: float, every: int) -> None:
    """With a full charge now and then it stays within 3 % once two of them were seen, and tells the drift."""
    counter.fresh_s = 300.0
    counter.full()
    off = []
    for number in range(60):
        off += [(counter.settle().percent or 0.0) - percent for percent in day(counter, offset_a, dead_a)]
        if number % every == every - 1:
            counter.full()
    first, rest = off[: 24 * 2 * every], off[24 * 2 * every :]
    assert max(map(abs, first)) < 2.7 * every
    assert max(map(abs, rest)) < 3.0
    seen_a = offset_a * (21.0 / 24.0 if dead_a else 1.0)
    assert counter.memory.anchors.drift_ah_per_day == pytest.approx(24.0 * seen_a, rel=0.25)


def test_loads_that_are_not_read_are_drift(counter: Counter) -> None:
    """0.5 A all day under a dead band of 0.8 A: the count learns to fall by itself."""
    counter.fresh_s = 60.0
    counter.full()
    for _ in range(10):
        counter.flow(20.0, 0.0, every_s=60.0)
        counter.flow(0.5, 20.0, every_s=60.0)
        counter.flow(3.5, 0.0, every_s=60.0)
        counter.full()
    assert counter.memory.anchors.drift_ah_per_day == pytest.approx(10.0, rel=0.05)


def test_a_drift_that_cannot_be_is_not_believed(counter: Counter) -> None:
    """A full charge that was none, or a battery that was changed, teaches at most the dead band."""
    counter.full()
    counter.flow(20.0, 20.0)
    counter.full()
    assert counter.memory.anchors.drift_a == counter.ratings.least_current_a


def test_what_was_not_seen_teaches_nothing(counter: Counter) -> None:
    """A gap that nobody bridges ends the way from full to full."""
    counter.full()
    counter.bms_percent = 0.0
    counter.flow(24.0, 1.0)
    counter.bms_percent = 0.0
    counter.see()
    counter.flow(1.0, 0.0, seen=False, every_s=600.0)
    counter.bms_percent = 0.0
    counter.see()
    assert counter.full().anchors.drift_a is None


def test_a_person_sets_it(counter: Counter) -> None:
    """The value that was written and read back is that of both counts."""
    after = set_count(counter.memory, 80.0)
    assert (after.percent, after.bms_percent, after.since_full_ah) == (80.0, 80.0, None)


def test_a_sample_is_shown_with_both_counts(sample: Callable[..., Snapshot]) -> None:
    """Everything else in it stays, also what is added to it later."""
    snapshot = sample(soc=42.0, pack={"soh_percent": 97.0, "lifetime_s": 7, "status": BmsStatus.CHARGING})
    shown = with_count(snapshot, SocMemory(percent=61.0))

    assert (shown.pack.soc_percent, shown.pack.bms_soc_percent) == (61.0, 42.0)
    assert replace(shown, pack=snapshot.pack) == snapshot
    assert replace(shown.pack, soc_percent=42.0, bms_soc_percent=None) == snapshot.pack
    assert shown.image is snapshot.image
    assert with_count(snapshot, SocMemory()) is snapshot


def test_a_battery_without_a_capacity_is_counted_by_the_bms(make_ratings: Callable[..., Ratings]) -> None:
    """Register 306 at 0 leaves nothing to count with."""
    counter = Counter(make_ratings(capacity_ah=0.0))
    counter.see()
    counter.bms_percent = 30.0
    counter.now_s += 1.0
    assert counter.see(50.0).percent == 30.0


def test_the_engine_decides_by_it(make_engine: MakeEngine) -> None:
    """SUSTAIN by a count of the BMS that has drifted to 0 does not begin, and screens show the bridge's."""
    made = make_engine(soc_source=SocSource.BRIDGE)
    made.last_for(30.0, soc=60.0, max_cell_v=3.12)
    made.last_for(300.0, soc=0.0, max_cell_v=3.12)

    assert made.limits.state == "BULK"
    assert (made.memory.sample.pack.soc_percent, made.memory.sample.pack.bms_soc_percent) == (60.0, 0.0)
    assert made.memory.counted.pack.soc_percent == 0.0


def test_the_engine_sets_it_right_at_full(make_engine: MakeEngine) -> None:
    """Voltage and tail find the battery full: 100 % at once, with a count that said 70 %."""
    made = make_engine(soc_source=SocSource.BRIDGE)
    made.last_for(300.0, soc=70.0, max_cell_v=3.65, delta_mv=5.0, current_a=1.0)

    assert made.limits.full
    assert made.memory.soc.percent == 100.0


def test_the_engine_leaves_it_to_the_bms_where_asked(make_engine: MakeEngine) -> None:
    """``soc_source`` bms: no count of its own, and none left over."""
    made = make_engine(soc_source=SocSource.BRIDGE)
    made.feed(5, soc=60.0)
    made.settings = replace(made.settings, soc_source=SocSource.BMS)
    made.feed(5, soc=40.0)

    assert made.memory.soc == SocMemory()
    assert made.memory.sample.pack.soc_percent == 40.0


def test_old_data_is_not_counted(make_engine: MakeEngine) -> None:
    """In HOLD and SILENT it stands; the third good sample bridges the gap."""
    made = make_engine(soc_source=SocSource.BRIDGE)
    made.last_for(10.0, soc=60.0, current_a=10.0, every_s=0.5, pack={"lifetime_s": 100})
    before = made.memory.soc.percent
    made.wait(60.0)
    assert made.memory.soc.percent == before
    for number in range(3):
        made.offer(soc=60.2, current_a=10.0, pack={"lifetime_s": 160 + number})
    assert made.memory.soc.percent == pytest.approx(before + 0.2, abs=0.01)


numbers = st.floats() | st.sampled_from([0.0, -0.0, 50.0, 100.0, 1e308])
gaps = st.floats(0.01, 1e7) | st.sampled_from([-50.0, 0.0, 5.0, math.inf])


@settings(max_examples=300, deadline=None)
@given(
    lives=st.lists(
        st.tuples(gaps, st.floats(-1e4, 1e4), numbers, st.integers(0, (1 << 32) - 1), st.booleans(), st.booleans()),
        max_size=20,
    ),
    found=st.lists(st.tuples(*[st.booleans()] * 4), min_size=20, max_size=20),
    capacity_ah=st.floats(0.1, 655.0),
)
def test_it_is_always_a_percentage(
    make_ratings: Callable[..., Ratings], lives: list[Any], found: list[Any], capacity_ah: float
) -> None:
    """Whatever counts, gaps, currents and cells: 0 to 100, never not a number, and what is saved comes back."""
    counter = Counter(make_ratings(capacity_ah=capacity_ah))
    for (gap_s, current_a, bms_percent, lifetime_s, known, restart), cells in zip(lives, found, strict=False):
        counter.now_s += gap_s
        counter.bms_percent, counter.lifetime_s = bms_percent, lifetime_s
        counter.known = known and 0.0 <= bms_percent <= 100.5
        counter.see(current_a)
        full, charged, uneven, empty = cells
        memory = counter.settle(3.0, full=full, charged=charged and full, uneven=uneven, empty=empty)
        assert memory.percent is None or 0.0 <= memory.percent <= 100.0
        assert memory.anchors.drift_a is None or abs(memory.anchors.drift_a) <= 0.8
        if restart:
            counter.restart()
            assert replace(counter.memory, since_full_ah=None) == replace(
                memory, taken_at_s=None, current_a=0.0, idle_s=0.0, since_full_ah=None
            )


@settings(max_examples=100, deadline=None)
@given(
    flows=st.lists(st.tuples(st.floats(0.05, 0.5), st.floats(-60.0, 60.0)), min_size=1, max_size=12),
    at=st.integers(0, 11),
)
def test_a_restart_anywhere_changes_nothing(
    make_ratings: Callable[..., Ratings], flows: list[tuple[float, float]], at: int
) -> None:
    """With a BMS that counts and is not at an end, the same as without it, within what a minute loses."""
    counts = []
    for restarts in (False, True):
        counter = Counter(make_ratings(capacity_ah=280.0, charge_over_current_a=140.0))
        counter.see()
        for number, (hours, current_a) in enumerate(flows):
            counter.flow(hours, current_a)
            if restarts and number == at:
                counter.flow(1.0 / 60.0, current_a, seen=False)
                counter.restart()
                counter.see(current_a)
            elif number == at:
                counter.flow(1.0 / 60.0, current_a)
        counts.append(counter.memory.percent)
    assert counts[0] == pytest.approx(counts[1], abs=0.4)

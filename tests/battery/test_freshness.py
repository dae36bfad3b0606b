import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tinybms_bridge.battery.freshness import (
    Freshness,
    FreshnessMemory,
    FreshnessSettings,
    Motion,
    advance,
    stale_from_s,
)
from tinybms_bridge.battery.snapshot import Cells, PackValues, Snapshot

STARTING, FRESH, HOLD, SILENT = Freshness.STARTING, Freshness.FRESH, Freshness.HOLD, Freshness.SILENT
EMPTY = Snapshot(0, 0.0, PackValues(53.0, 0.0, 50.0), Cells((3.3,) * 16))


def sample(sequence: int, taken_at_s: float, shows: int | None = None) -> Snapshot:
    """Return a sample that shows something new, or the same as others with the same ``shows``."""
    image = (sequence if shows is None else shows).to_bytes(8)
    return replace(EMPTY, sequence=sequence, taken_at_s=taken_at_s, image=image)


def run(
    sample_times_s: list[float],
    look_times_s: list[float],
    settings: FreshnessSettings | None = None,
    memory: FreshnessMemory | None = None,
) -> list[Freshness]:
    """Return the state at each look, when good samples came at the given times."""
    settings, memory = settings or FreshnessSettings(), memory or FreshnessMemory()
    found = []
    for look_s in look_times_s:
        come = [s for s in sample_times_s if s <= look_s]
        for sequence, taken_at_s in enumerate(come, start=1):
            if sequence > memory.last_sequence:
                memory = advance(memory, sample(sequence, taken_at_s), settings, taken_at_s)
        latest = sample(len(come), come[-1]) if come else None
        memory = advance(memory, latest, settings, look_s)
        found.append(memory.state)
    return found


def test_nothing_is_fresh_before_the_first_sample() -> None:
    """Without any sample the bridge keeps starting, for however long, and has no age to show."""
    assert run([], [0.0, 10.0, 1e6]) == [STARTING] * 3
    assert FreshnessMemory().age_s(5.0) is None


def test_start_needs_several_samples_in_a_row() -> None:
    """The first frame waits for three good samples."""
    assert run([1.0, 1.1, 1.2], [1.0, 1.1, 1.2]) == [STARTING, STARTING, FRESH]


def test_samples_far_apart_do_not_start() -> None:
    """Good samples with a gap of more than three seconds are not in a row."""
    assert run([1.0, 2.0, 5.1, 6.0, 7.0], [2.0, 5.1, 6.0, 7.0]) == [STARTING, STARTING, STARTING, FRESH]


def test_the_same_sample_counts_once() -> None:
    """Looking often at one sample does not make it three."""
    assert run([1.0], [1.0, 1.1, 1.2, 1.3, 1.4]) == [STARTING] * 5


@pytest.mark.parametrize(
    ("age_s", "state"),
    [(0.0, FRESH), (3.0, FRESH), (3.001, HOLD), (32.9, HOLD), (33.001, SILENT), (1e9, SILENT)],
)
def test_age_decides_the_state(age_s: float, state: Freshness) -> None:
    """FRESH lasts 3 s without a sample, HOLD 30 s more; then the bridge is silent, even when nobody looked before."""
    assert run([1.0, 1.1, 1.2], [1.2, 1.2 + age_s])[-1] is state


@given(
    samples=st.lists(st.tuples(st.floats(0.01, 5.0), st.booleans()), max_size=20),
    timeout_s=st.floats(0.5, 5.0),
    hold_s=st.floats(0.0, 60.0),
)
def test_the_next_look_that_matters_is_known(
    samples: list[tuple[float, bool]], timeout_s: float, hold_s: float
) -> None:
    """Until ``stale_from_s`` time alone changes nothing, and right after it freshness is over, or silence begins."""
    settings, memory, at_s = FreshnessSettings(fresh_timeout_s=timeout_s, hold_s=hold_s), FreshnessMemory(), 0.0
    latest = None
    for number, (pause_s, moves) in enumerate(samples, start=1):
        at_s += pause_s
        latest = sample(number, at_s, shows=number if moves else 0)
        memory = advance(memory, latest, settings, at_s)
    for _ in range(3):
        stale_s = stale_from_s(memory, settings)
        if math.isinf(stale_s):
            break
        if stale_s > at_s:
            assert advance(memory, latest, settings, at_s + 0.999 * (stale_s - at_s)).state is memory.state
        at_s = max(at_s, stale_s) + 0.001
        after = advance(memory, latest, settings, at_s)
        assert after.state is SILENT if memory.state is HOLD else after.state in (HOLD, SILENT)
        memory = after
    assert memory.state in (STARTING, SILENT) or not math.isinf(stale_from_s(memory, settings))


def test_hold_ends_on_time_when_looked_at_each_second() -> None:
    """HOLD begins with the look after 3 s and the bridge is silent no later than 33 s after the last sample."""
    states = run([0.8, 0.9, 1.0], [1.0 + second for second in range(40)])

    assert states[:4] == [FRESH] * 4
    assert states[4:33] == [HOLD] * 29
    assert states[34:] == [SILENT] * 6


def test_hold_of_zero_is_silent_at_once() -> None:
    """``hold_s`` = 0 goes from FRESH to SILENT without a stop between."""
    assert run([1.0, 1.1, 1.2], [1.2, 4.3, 4.4], FreshnessSettings(hold_s=0.0)) == [FRESH, SILENT, SILENT]


@pytest.mark.parametrize("pause_s", [5.0, 100.0])
def test_return_needs_several_samples_in_a_row(pause_s: float) -> None:
    """HOLD and SILENT end with the third good sample."""
    back_s = 1.2 + pause_s
    samples = [1.0, 1.1, 1.2, back_s, back_s + 0.1, back_s + 0.2]
    states = run(samples, [1.2, back_s - 0.1, back_s, back_s + 0.1, back_s + 0.2])

    left = HOLD if pause_s < 30 else SILENT
    assert states == [FRESH, left, left, left, FRESH]


def test_single_samples_do_not_prolong_a_hold() -> None:
    """A link that gives one good sample every four seconds ends in silence, not in an endless hold."""
    samples = [1.0, 1.1, 1.2, *(1.2 + 4.0 * i for i in range(1, 30))]
    states = run(samples, [1.2 + second for second in range(60)])

    assert HOLD in states
    assert states[40:] == [SILENT] * 20


def test_gap_that_nobody_saw_ends_fresh() -> None:
    """After ten seconds in which the process hung, one sample is not enough to be fresh."""
    assert run([1.0, 1.1, 1.2, 11.2, 11.3, 11.4], [1.2, 11.2, 11.3, 11.4]) == [FRESH, HOLD, HOLD, FRESH]


def test_late_delivery_does_not_end_a_hold() -> None:
    """A sample taken just in time but handed over too late is one sample, not the end of the hold."""
    fresh = FreshnessMemory(FRESH, since_s=0.0, streak=9, last_sequence=9, last_sample_s=10.0)
    held = advance(fresh, None, FreshnessSettings(), 13.1)
    late = advance(held, sample(10, 12.9), FreshnessSettings(), 13.2)

    assert (held.state, late.state, late.streak) == (HOLD, HOLD, 1)


def test_third_sample_counts_across_the_end_of_a_hold() -> None:
    """Samples that began to come back in HOLD count on in SILENT."""
    samples = [1.0, 1.1, 1.2, 34.1, 34.2, 34.3]
    states = run(samples, [1.2, 4.25, 34.1, 34.2, 34.3])

    assert states[-3:] == [HOLD, HOLD, FRESH]


def test_clock_that_steps_back_makes_nothing_fresh() -> None:
    """A sample far in the future is as little trusted as an old one."""
    fresh = FreshnessMemory(FRESH, since_s=900.0, streak=9, last_sequence=9, last_sample_s=1000.0)

    stepped = advance(fresh, None, FreshnessSettings(), 500.0)

    assert stepped.state is SILENT
    assert stepped.age_s(500.0) == 500.0


@pytest.mark.parametrize(("taken_at_s", "now_s"), [(math.nan, 10.0), (10.0, math.nan), (math.inf, 10.0)])
def test_time_that_is_not_a_number_is_never_fresh(taken_at_s: float, now_s: float) -> None:
    """Arithmetic with NaN or infinity ends in SILENT, never in trust."""
    fresh = FreshnessMemory(FRESH, since_s=9.0, streak=9, last_sequence=9, last_sample_s=10.0)

    assert advance(fresh, sample(10, taken_at_s), FreshnessSettings(), now_s).state is SILENT


class Unit:
    """A BMS that is polled, whose readings move or stand still, and the state machine that watches it."""

    def __init__(self, settings: FreshnessSettings | None = None) -> None:
        self.settings = settings or FreshnessSettings()
        self.memory = FreshnessMemory()
        self.now_s = 100.0
        self.number = 0
        self.shows = 0

    def poll(self, seconds: float, *, every_s: float = 0.1, moves_every_s: float | None = 0.1) -> Freshness:
        """Poll for some time; None: nothing moves."""
        polls = round(seconds / every_s)
        for poll in range(1, polls + 1):
            self.now_s += every_s
            self.number += 1
            if moves_every_s is not None and poll % max(1, round(moves_every_s / every_s)) == 0:
                self.shows += 1
            self.memory = advance(self.memory, sample(self.number, self.now_s, self.shows), self.settings, self.now_s)
        return self.memory.state

    def until(self, state: Freshness, **how: float | None) -> float:
        """Poll until a state; return the seconds that it took."""
        begun_s = self.now_s
        while self.memory.state is not state:
            self.poll(how.get("every_s") or 0.1, **how)  # type: ignore[arg-type]
            assert self.now_s - begun_s < 100.0
        return self.now_s - begun_s


@pytest.mark.parametrize(
    ("every_s", "moves_every_s", "patience_s"),
    [(0.1, 0.1, 4.0), (0.1, 1.0, 4.0), (1.0, 1.0, 4.0), (0.1, 2.0, 6.0), (0.5, 4.0, 12.0), (0.5, 5.0, 15.0)],
)
def test_frozen_readings_are_old(every_s: float, moves_every_s: float, patience_s: float) -> None:
    """Good samples that all show the same hold charging after three times the longest pause seen, 4 s at least."""
    unit = Unit()
    unit.poll(15 * moves_every_s, every_s=every_s, moves_every_s=moves_every_s)
    assert unit.memory.state is FRESH

    took_s = unit.until(HOLD, every_s=every_s, moves_every_s=None)

    assert took_s == pytest.approx(patience_s, abs=every_s + 1e-6)
    assert unit.memory.frozen
    assert unit.memory.still_s(unit.now_s) == pytest.approx(took_s)


def test_frozen_from_the_start_takes_the_longest_time() -> None:
    """Before it is known how often a unit changes, 15 s without a change are too long."""
    unit = Unit()
    assert unit.until(HOLD, moves_every_s=None) == pytest.approx(15.0, abs=0.31)


def test_frozen_line_falls_silent() -> None:
    """An image that stays frozen ends as missing samples do, whatever is still received."""
    unit = Unit()
    unit.poll(5.0)
    unit.until(HOLD, moves_every_s=None)
    assert unit.until(SILENT, moves_every_s=None) == pytest.approx(30.0, abs=0.2)
    assert unit.poll(100.0, moves_every_s=None) is SILENT


def test_frozen_line_without_hold_is_silent_at_once() -> None:
    """``hold_s`` = 0 holds for nothing."""
    unit = Unit(FreshnessSettings(hold_s=0.0))
    unit.poll(5.0)
    assert unit.until(SILENT, moves_every_s=None) == pytest.approx(4.0, abs=0.11)


def test_frozen_line_returns_with_three_changes() -> None:
    """Samples between the changes are neither good ones nor a gap."""
    unit = Unit()
    unit.poll(20.0, moves_every_s=1.0)
    unit.until(HOLD, moves_every_s=None)
    unit.poll(0.9, moves_every_s=None)
    states = [unit.poll(1.0, moves_every_s=1.0) for _ in range(3)]

    assert states == [HOLD, HOLD, FRESH]
    assert not unit.memory.frozen


def test_rare_changes_are_not_taken_for_a_frozen_line_twice() -> None:
    """A unit that calms down is known after its first pause, and a pause above 5 s counts as 5 s."""
    unit = Unit()
    unit.poll(20.0)
    unit.until(HOLD, moves_every_s=None)
    unit.poll(3.0, moves_every_s=1.0)
    assert unit.memory.state is FRESH

    assert unit.poll(60.0, moves_every_s=4.0) is FRESH
    assert unit.until(HOLD, moves_every_s=None) <= 15.1


def test_any_change_counts() -> None:
    """The counter alone, one cell by 0.1 mV, a value that goes back: each shows that the BMS lives."""
    cells = (*(3.3,) * 15, 3.3001)
    shown = [
        EMPTY,
        replace(EMPTY, pack=replace(EMPTY.pack, lifetime_s=7)),
        replace(EMPTY, pack=replace(EMPTY.pack, lifetime_s=6)),
        replace(EMPTY, cells=Cells(cells)),
        EMPTY,
    ]
    memory = FreshnessMemory()
    for number in range(1, 400):
        at_s = 10.0 + number / 10
        snapshot = replace(shown[number // 20 % 5], sequence=number, taken_at_s=at_s)
        memory = advance(memory, snapshot, FreshnessSettings(), at_s)
        assert memory.state is FRESH or number < 3


def test_pause_without_samples_is_not_learned() -> None:
    """A link that was away says nothing of how often the readings change."""
    unit = Unit()
    unit.poll(5.0)
    unit.now_s += 4.5
    unit.poll(5.0)

    assert unit.until(HOLD, moves_every_s=None) == pytest.approx(4.0, abs=0.11)


def test_counter_that_stands_while_readings_move_is_known() -> None:
    """After a minute; a counter that counts, and a unit whose everything stands still, are not meant."""
    standing = Motion(changed_s=100.0, changes=500, counter_s=7, counted_s=40.0, changes_since=10)

    assert standing.counter_stands()
    assert not replace(standing, counted_s=40.1).counter_stands()
    assert not replace(standing, changes_since=9).counter_stands()

    unit = Unit()
    unit.poll(61.0)
    assert unit.memory.motion.counter_stands()


class FreshnessMachine(RuleBasedStateMachine):
    """Random samples, pauses and looks against the promises of the state machine, with a clock of its own."""

    @initialize(
        hold_s=st.sampled_from([0.0, 5.0, 30.0, 60.0]),
        start_samples=st.integers(1, 4),
        return_samples=st.integers(1, 4),
    )
    def begin(self, hold_s: float, start_samples: int, return_samples: int) -> None:
        self.settings = FreshnessSettings(hold_s=hold_s, start_samples=start_samples, return_samples=return_samples)
        self.memory = FreshnessMemory()
        self.now_s = 100.0
        self.samples_s: list[float] = []
        self.changes = 0
        self.seen = 0
        self.changes_s: list[float] = []
        self.looked = False

    @rule(pause_s=st.sampled_from([0.05, 0.5, 1.0, 2.9, 3.1, 10.0, 29.0, 31.0, 100.0]))
    def wait(self, pause_s: float) -> None:
        self.now_s += pause_s
        self.looked = False

    @rule(moves=st.booleans())
    def take(self, moves: bool) -> None:
        self.samples_s.append(self.now_s)
        self.changes += moves
        self.looked = False

    @rule(count=st.integers(2, 8), period_s=st.sampled_from([0.1, 1.0, 2.5]), moves=st.booleans())
    def take_in_a_row(self, count: int, period_s: float, moves: bool) -> None:
        for _ in range(count):
            self.now_s += period_s
            self.take(moves)
            self.look()
            self.frozen_is_never_fresh()

    @rule()
    def look(self) -> None:
        before, number = self.memory, len(self.samples_s)
        latest = sample(number, self.samples_s[-1], self.changes) if number else None
        if latest is not None and (self.changes != self.seen or not self.changes_s):
            self.seen = self.changes
            self.changes_s.append(latest.taken_at_s)
        self.memory = advance(before, latest, self.settings, self.now_s)
        self.looked = True
        if self.memory.state is FRESH and before.state is not FRESH:
            self.check_streak(before)

    def check_streak(self, before: FreshnessMemory) -> None:
        needed = self.settings.start_samples if before.state is STARTING else self.settings.return_samples
        last = (self.changes_s if before.frozen else self.samples_s)[-needed:]
        assert len(last) == needed
        assert all(late - early <= (15.0 if before.frozen else 3.0) for early, late in pairwise(last))

    def age_s(self) -> float:
        return self.now_s - self.samples_s[-1] if self.samples_s else math.inf

    @invariant()
    def fresh_is_young(self) -> None:
        if self.looked and self.memory.state is FRESH:
            assert self.age_s() <= 3.0

    @invariant()
    def frozen_is_never_fresh(self) -> None:
        if self.looked and self.memory.state is FRESH:
            assert self.samples_s[-1] - self.changes_s[-1] < 15.0 + 1e-6

    @invariant()
    def hold_is_short(self) -> None:
        if self.looked and self.memory.state is HOLD:
            assert self.now_s - self.memory.since_s <= self.settings.hold_s

    @invariant()
    def hold_without_samples_is_short(self) -> None:
        if self.looked and self.memory.state is HOLD:
            assert self.age_s() <= 3.0 + self.settings.hold_s

    @invariant()
    def starting_is_only_at_the_start(self) -> None:
        if self.looked and self.memory.state is STARTING and self.settings.start_samples == 1:
            assert self.age_s() > 3.0


def test_promises_hold_for_any_history() -> None:
    """FRESH never outlives 3 s, HOLD never its time, and a return never comes with fewer samples than asked."""
    run_state_machine_as_test(
        FreshnessMachine, settings=hypothesis_settings(max_examples=60, stateful_step_count=30, deadline=None)
    )

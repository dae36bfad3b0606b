import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tinybms_bridge.battery.freshness import Freshness, FreshnessMemory, FreshnessSettings, advance
from tinybms_bridge.battery.snapshot import Cells, PackState, Snapshot

STARTING, FRESH, HOLD, SILENT = Freshness.STARTING, Freshness.FRESH, Freshness.HOLD, Freshness.SILENT
EMPTY = Snapshot(0, 0.0, PackState(53.0, 0.0, 50.0), Cells((3.3,) * 16))


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
                memory = advance(memory, replace(EMPTY, sequence=sequence, taken_at_s=taken_at_s), settings, taken_at_s)
        latest = replace(EMPTY, sequence=len(come), taken_at_s=come[-1]) if come else None
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
    late = advance(held, replace(EMPTY, sequence=10, taken_at_s=12.9), FreshnessSettings(), 13.2)

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

    assert (
        advance(fresh, replace(EMPTY, sequence=10, taken_at_s=taken_at_s), FreshnessSettings(), now_s).state is SILENT
    )


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
        self.looked = False

    @rule(pause_s=st.sampled_from([0.05, 0.5, 1.0, 2.9, 3.1, 10.0, 29.0, 31.0, 100.0]))
    def wait(self, pause_s: float) -> None:
        self.now_s += pause_s
        self.looked = False

    @rule()
    def sample(self) -> None:
        self.samples_s.append(self.now_s)
        self.looked = False

    @rule(count=st.integers(2, 5), period_s=st.sampled_from([0.1, 1.0, 2.5]))
    def samples_in_a_row(self, count: int, period_s: float) -> None:
        for _ in range(count):
            self.now_s += period_s
            self.sample()
            self.look()

    @rule()
    def look(self) -> None:
        before, sequence = self.memory, len(self.samples_s)
        latest = replace(EMPTY, sequence=sequence, taken_at_s=self.samples_s[-1]) if sequence else None
        self.memory = advance(before, latest, self.settings, self.now_s)
        self.looked = True
        if self.memory.state is FRESH and before.state is not FRESH:
            self.check_streak(before)

    def check_streak(self, before: FreshnessMemory) -> None:
        needed = self.settings.start_samples if before.state is STARTING else self.settings.return_samples
        last = self.samples_s[-needed:]
        assert len(last) == needed
        assert all(late - early <= 3.0 for early, late in pairwise(last))

    def age_s(self) -> float:
        return self.now_s - self.samples_s[-1] if self.samples_s else math.inf

    @invariant()
    def fresh_is_young(self) -> None:
        if self.looked and self.memory.state is FRESH:
            assert self.age_s() <= 3.0

    @invariant()
    def hold_is_short(self) -> None:
        if self.looked and self.memory.state is HOLD:
            assert self.age_s() <= 3.0 + self.settings.hold_s
            assert self.now_s - self.memory.since_s <= self.settings.hold_s

    @invariant()
    def starting_is_only_at_the_start(self) -> None:
        if self.looked and self.memory.state is STARTING and self.settings.start_samples == 1:
            assert self.age_s() > 3.0


def test_promises_hold_for_any_history() -> None:
    """FRESH never outlives 3 s, HOLD never its time, and a return never comes with fewer samples than asked."""
    run_state_machine_as_test(
        FreshnessMachine, settings=hypothesis_settings(max_examples=60, stateful_step_count=30, deadline=None)
    )

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import ChargeState, StateMemory, StateSettings
from tinybms_bridge.battery.limits.charging import FloatRule
from tinybms_bridge.battery.limits.states import CellsSay, next_state

BULK, TRANSITION, FLOAT_APPROACH = ChargeState.BULK, ChargeState.TRANSITION, ChargeState.FLOAT_APPROACH
FLOAT, HOLD, SUSTAIN = ChargeState.FLOAT, ChargeState.IMBALANCE_HOLD, ChargeState.SUSTAIN

SETTINGS = StateSettings()


def walk(
    socs: Iterable[float],
    deltas_mv: Iterable[float] | None = None,
    *,
    settings: StateSettings = SETTINGS,
    memory: StateMemory | None = None,
    elapsed_s: float = 1.0,
    rule: FloatRule = FloatRule(),  # noqa: B008 -- immutable
) -> list[ChargeState]:
    """Return the state after each sample of SOC and cell difference."""
    memory, socs = memory or StateMemory(), list(socs)
    states = []
    for soc, delta_mv in zip(socs, deltas_mv or [10.0] * len(socs), strict=True):
        memory = next_state(memory, soc, delta_mv, settings, elapsed_s, rule=rule)
        states.append(memory.state)
    return states


@pytest.mark.parametrize(
    ("soc", "state"),
    [
        (0.0, SUSTAIN),
        (5.0, SUSTAIN),
        (5.1, BULK),
        (79.9, BULK),
        (80.0, TRANSITION),
        (84.9, TRANSITION),
        (85.0, FLOAT_APPROACH),
        (94.9, FLOAT_APPROACH),
        (95.0, FLOAT),
        (100.0, FLOAT),
    ],
)
def test_state_by_soc(soc: float, state: ChargeState) -> None:
    """From a fresh start each state begins exactly at its threshold."""
    assert walk([soc]) == [state]


def test_a_full_cycle() -> None:
    """A charge and a discharge pass through the states in order and come back."""
    up = walk([50, 82, 87, 96])
    assert up == [BULK, TRANSITION, FLOAT_APPROACH, FLOAT]

    down = walk([93, 91, 84, 79, 4, 9], memory=StateMemory(FLOAT, float_latched=True))
    assert down == [FLOAT, FLOAT_APPROACH, TRANSITION, BULK, SUSTAIN, BULK]


@pytest.mark.parametrize(
    ("threshold", "below", "above"),
    [(80.0, BULK, TRANSITION), (85.0, TRANSITION, FLOAT_APPROACH), (95.0, FLOAT_APPROACH, FLOAT)],
)
def test_noise_at_a_threshold_does_not_flicker(threshold: float, below: ChargeState, above: ChargeState) -> None:
    """A SOC that dances by 0.4 % around a threshold changes the state once."""
    start = walk([threshold - 0.3])
    states = walk([threshold - 0.3, *[threshold + 0.1, threshold - 0.3] * 20])

    assert start == [below]
    assert states == [below, *[above] * 40]


@pytest.mark.parametrize(("soc", "state"), [(79.6, TRANSITION), (79.5, TRANSITION), (79.4, BULK)])
def test_hysteresis_ends(soc: float, state: ChargeState) -> None:
    """A state is kept down to 0.5 % below its threshold, not longer."""
    assert walk([soc], memory=StateMemory(TRANSITION)) == [state]


def test_hysteresis_is_for_the_present_state_only() -> None:
    """On the way up nothing begins early."""
    assert walk([79.6, 84.6, 94.6]) == [BULK, TRANSITION, FLOAT_APPROACH]


def test_float_lasts_until_its_exit() -> None:
    """FLOAT begins at 95 % and lasts down to 92 %."""
    assert walk([95, 93, 92, 91.9]) == [FLOAT, FLOAT, FLOAT, FLOAT_APPROACH]


def test_float_is_remembered_across_a_hold() -> None:
    """A hold that ends at 93 % returns to FLOAT; the firmware forgot FLOAT and went back to a higher voltage."""
    assert walk([96, 94, 93], [10, 60, 10]) == [FLOAT, HOLD, FLOAT]


def test_float_is_forgotten_below_its_exit_during_a_hold() -> None:
    """SOC that falls below the exit while the cells differ ends FLOAT all the same."""
    assert walk([96, 91, 93], [10, 60, 10]) == [FLOAT, HOLD, FLOAT_APPROACH]


def test_float_reached_during_a_hold_is_remembered() -> None:
    """SOC that reaches 95 % during a hold leads to FLOAT when the hold ends."""
    assert walk([90, 96, 93], [60, 60, 10]) == [HOLD, HOLD, FLOAT]


def test_float_is_remembered_across_sustain() -> None:
    """Even with an exit below SUSTAIN, FLOAT is back after it."""
    assert walk([96, 4, 9], rule=FloatRule(exit_soc_percent=2.0)) == [FLOAT, SUSTAIN, FLOAT]


def test_float_survives_a_restart() -> None:
    """A process that starts again at 93 % with its memory stays in FLOAT instead of going back to bulk voltage."""
    assert walk([93], memory=StateMemory(FLOAT, float_latched=True)) == [FLOAT]


@pytest.mark.parametrize(("delta_mv", "state"), [(20, BULK), (50, BULK), (50.1, HOLD), (150, HOLD)])
def test_hold_begins_above_its_threshold(delta_mv: float, state: ChargeState) -> None:
    """Exactly the threshold is not yet a hold."""
    assert walk([50], [delta_mv]) == [state]


def test_hold_lasts_until_the_release() -> None:
    """Between release and threshold a hold goes on and none begins."""
    assert walk([50] * 5, [60, 30, 20.1, 20, 40]) == [HOLD, HOLD, HOLD, BULK, BULK]


def test_hold_goes_before_every_soc_state() -> None:
    """At any SOC above SUSTAIN a difference of the cells leads to a hold."""
    assert walk([6, 50, 82, 87, 99], [60] * 5) == [HOLD] * 5


def test_hold_is_capped() -> None:
    """A weak cell that never comes back does not hold the battery for ever: after four hours charging goes on."""
    states = walk([50] * 8, [60] * 8, elapsed_s=3600.0)

    assert states == [HOLD] * 4 + [BULK] * 4


def test_spent_hold_needs_a_release_first() -> None:
    """After a capped hold the next one begins only when the cells came together and parted again."""
    spent = StateMemory(BULK, hold_spent=True)

    assert walk([50] * 4, [80, 21, 60, 200], memory=spent) == [BULK] * 4
    assert walk([50] * 3, [60, 20, 60], memory=spent) == [BULK, BULK, HOLD]


def test_release_during_sustain_ends_a_spent_hold() -> None:
    """Cells that came together while the battery was nearly empty may be held again afterwards."""
    assert walk([4, 9], [15, 60], memory=StateMemory(BULK, hold_spent=True)) == [SUSTAIN, HOLD]
    assert walk([4, 9], [30, 60], memory=StateMemory(BULK, hold_spent=True)) == [SUSTAIN, BULK]


def test_time_of_a_hold_survives_a_restart() -> None:
    """A restart does not give a hold another four hours."""
    before = StateMemory(HOLD, hold_elapsed_s=14_000.0)

    assert next_state(before, 50.0, 60.0, SETTINGS, 0.0).hold_elapsed_s == 14_000.0
    assert next_state(before, 50.0, 60.0, SETTINGS, 400.0).state is BULK


def test_each_hold_has_its_own_time() -> None:
    """A hold that ended by release leaves no time behind for the next."""
    states = walk([50] * 9, [60, 60, 60, 10, 60, 60, 60, 60, 60], elapsed_s=3600.0)

    assert states == [HOLD, HOLD, HOLD, BULK, HOLD, HOLD, HOLD, HOLD, BULK]


def test_release_above_the_threshold_does_not_flicker() -> None:
    """With release and threshold the wrong way round the release decides alone; the firmware changed at each step."""
    settings = replace(SETTINGS, imbalance_hold_mv=50.0, imbalance_release_mv=80.0)

    assert walk([50] * 4, [60, 60, 90, 90], settings=settings) == [BULK, BULK, HOLD, HOLD]


def test_sustain_has_hysteresis() -> None:
    """SUSTAIN begins at 5 % and ends at 8 %."""
    assert walk([6, 5, 7, 7.9, 8, 6]) == [BULK, SUSTAIN, SUSTAIN, SUSTAIN, BULK, BULK]


def test_sustain_goes_before_a_hold() -> None:
    """An empty battery is looked after first, and a hold begins again from zero afterwards."""
    memory = StateMemory(HOLD, hold_elapsed_s=100.0)
    memory = next_state(memory, 4.0, 60.0, SETTINGS, 1.0)
    assert (memory.state, memory.hold_elapsed_s) == (SUSTAIN, 0.0)

    memory = next_state(memory, 9.0, 60.0, SETTINGS, 1.0)
    assert (memory.state, memory.hold_elapsed_s) == (HOLD, 0.0)


@pytest.mark.parametrize(("entry", "leave"), [(5.0, 5.0), (8.0, 5.0), (0.0, 0.0)])
def test_sustain_is_off_unless_exit_is_above_entry(entry: float, leave: float) -> None:
    """Equal or reversed thresholds switch SUSTAIN off, even when it was active before."""
    settings = replace(SETTINGS, sustain_entry_soc_percent=entry, sustain_exit_soc_percent=leave)

    assert walk([0, 4], settings=settings, memory=StateMemory(SUSTAIN)) == [BULK, BULK]


@pytest.mark.parametrize("state", list(ChargeState))
def test_disabled_is_bulk_without_memory(state: ChargeState) -> None:
    """Switched off, the machine is in BULK and forgets everything."""
    memory = StateMemory(state, float_latched=True, hold_elapsed_s=99.0, hold_spent=True)

    assert next_state(memory, 99.0, 500.0, replace(SETTINGS, enabled=False), 1.0) == StateMemory()


memories = st.builds(
    StateMemory,
    state=st.sampled_from(ChargeState),
    float_latched=st.booleans(),
    hold_elapsed_s=st.floats(0.0, 20_000.0),
    hold_spent=st.booleans(),
    float_capped=st.booleans(),
)
socs = st.floats(0.0, 100.0)
deltas_mv = st.floats(0.0, 300.0)


@given(memory=memories, soc=socs, delta_mv=deltas_mv)
def test_a_step_without_time_settles(memory: StateMemory, soc: float, delta_mv: float) -> None:
    """From every state, also one loaded from a file, a second look at the same sample changes nothing."""
    once = next_state(memory, soc, delta_mv, SETTINGS, 0.0)

    assert next_state(once, soc, delta_mv, SETTINGS, 0.0) == once


@given(memory=memories, soc=socs, delta_mv=deltas_mv)
def test_state_fits_the_sample(memory: StateMemory, soc: float, delta_mv: float) -> None:
    """Each state is entered or kept only where its thresholds allow it, whatever the memory."""
    after = next_state(memory, soc, delta_mv, SETTINGS, 1.0)

    allowed = {
        BULK: 5.0 < soc < 80.0,
        TRANSITION: 79.5 <= soc < 85.0,
        FLOAT_APPROACH: 84.5 <= soc < 95.0,
        FLOAT: soc >= 92.0,
        HOLD: delta_mv > 20.0 and soc > 5.0,
        SUSTAIN: soc < 8.0,
    }
    assert allowed[after.state]
    assert after.float_latched == (soc >= 95.0 or (memory.float_latched and soc >= 92.0))


def test_a_counter_that_the_cells_contradict_makes_no_float() -> None:
    """A count that is 12 % too high ended the charge at 83 %; a FLOAT that was earned before stays."""
    early = next_state(StateMemory(FLOAT_APPROACH), 96.0, 10.0, SETTINGS, 1.0, CellsSay(near_full=False))
    kept = next_state(StateMemory(FLOAT, float_latched=True), 96.0, 10.0, SETTINGS, 1.0, CellsSay(near_full=False))
    full = next_state(StateMemory(FLOAT_APPROACH), 83.0, 10.0, SETTINGS, 1.0, CellsSay(near_full=False), over=True)

    assert (early.state, early.float_latched) == (FLOAT_APPROACH, False)
    assert (kept.state, full.state) == (FLOAT, FLOAT)


def test_a_full_charge_that_was_asked_for_ends_with_full() -> None:
    """Neither a count nor a FLOAT from before slows it down; being full does."""
    floating = StateMemory(FLOAT, float_latched=True, float_capped=True)
    under_way = next_state(floating, 96.0, 10.0, SETTINGS, 1.0, until_full=True)
    full = next_state(under_way, 96.0, 10.0, SETTINGS, 1.0, until_full=True, over=True)

    assert (under_way.state, under_way.float_capped) == (FLOAT_APPROACH, False)
    assert (full.state, full.float_capped) == (FLOAT, True)


def test_the_current_of_float_waits_for_the_charge_voltage() -> None:
    """It comes with the first sample at the voltage and stays until FLOAT ends, also below the voltage."""
    memory, capped = StateMemory(), []
    for soc, at_voltage in ((96.0, False), (96.0, True), (93.0, False), (91.0, True), (96.0, False)):
        memory = next_state(memory, soc, 10.0, SETTINGS, 1.0, CellsSay(at_voltage=at_voltage))
        capped.append((memory.state, memory.float_capped))

    assert capped == [(FLOAT, False), (FLOAT, True), (FLOAT, True), (FLOAT_APPROACH, False), (FLOAT, False)]


def test_a_hold_ends_far_from_the_top() -> None:
    """In the evening cells differ at the top; at night on the plateau that says nothing, and charging is free."""
    holding = StateMemory(HOLD, hold_elapsed_s=100.0)
    between = next_state(holding, 93.0, 60.0, SETTINGS, 1.0, CellsSay(near_top=False))
    far = next_state(between, 40.0, 60.0, SETTINGS, 1.0, CellsSay(near_top=False, far_from_top=True))
    again = next_state(far, 93.0, 60.0, SETTINGS, 1.0)

    assert (between.state, far.state, again.state) == (HOLD, BULK, HOLD)
    assert again.hold_elapsed_s == 102.0, "the same imbalance goes on using up its time"


def test_a_spent_hold_stays_spent_far_from_the_top() -> None:
    """A night on the plateau gives an imbalance no second four hours."""
    spent = StateMemory(BULK, hold_spent=True)
    night = next_state(spent, 40.0, 40.0, SETTINGS, 1.0, CellsSay(near_top=False, far_from_top=True))

    assert night.hold_spent
    assert next_state(night, 90.0, 60.0, SETTINGS, 1.0).state is not HOLD


places = st.sampled_from([(True, False), (False, False), (False, True)])
"""Whether the cells are near the top, and far from it."""


@given(memory=memories, steps=st.lists(st.tuples(socs, st.floats(51.0, 300.0), places), min_size=1, max_size=30))
def test_no_hold_lasts_longer_than_its_cap(
    memory: StateMemory, steps: list[tuple[float, float, tuple[bool, bool]]]
) -> None:
    """While the cells never come together, the time in holds is bounded for every history."""
    held_s = memory.hold_elapsed_s
    for soc, delta_mv, (near, far) in steps:
        before = memory
        memory = next_state(before, soc, delta_mv, SETTINGS, 1800.0, CellsSay(near_top=near, far_from_top=far))
        held_s += 1800.0 if before.state is HOLD else 0.0
        if memory.state is SUSTAIN:
            held_s = 0.0
        if memory.state is HOLD:
            assert not far
            assert memory.hold_elapsed_s == held_s < SETTINGS.imbalance_hold_max_s


@given(memory=memories, samples=st.lists(st.tuples(st.floats(), st.floats()), max_size=10))
def test_nothing_makes_the_machine_fail(memory: StateMemory, samples: list[tuple[float, float]]) -> None:
    """Values that are not numbers lead to some state, never to an exception or a time that is not finite."""
    for soc, delta_mv in samples:
        memory = next_state(memory, soc, delta_mv, SETTINGS, 1.0)
        assert memory.state in ChargeState
        assert math.isfinite(memory.hold_elapsed_s)


# --- SUSTAIN and the cells ------------------------------------------------------------------------------------------


def test_sustain_needs_the_count_and_the_cells() -> None:
    """A drifted counter alone does not begin it, and neither do low cells at a counted 50 %."""
    for soc, empty, state in ((4.0, True, SUSTAIN), (4.0, False, BULK), (50.0, True, BULK)):
        assert next_state(StateMemory(), soc, 10.0, SETTINGS, 1.0, CellsSay(empty=empty)).state is state


def test_sustain_ends_by_the_cells_as_well() -> None:
    """60 s in a row above its end are enough, at any count; a moment below begins them anew."""
    memory, seen = StateMemory(SUSTAIN), []
    for recovered in (*[True] * 30, False, *[True] * 60):
        memory = next_state(memory, 3.0, 10.0, SETTINGS, 1.0, CellsSay(empty=False, recovered=recovered))
        seen.append(memory.state)

    assert seen == [SUSTAIN] * 90 + [BULK]


def test_a_battery_that_is_over_is_never_sustained() -> None:
    """Full at a counted 4 % is FLOAT, also where SUSTAIN was in force."""
    for before in (BULK, SUSTAIN, FLOAT):
        assert next_state(StateMemory(before), 4.0, 10.0, SETTINGS, 1.0, over=True).state is FLOAT


def test_without_a_count_the_cells_decide() -> None:
    """A count that is not known begins no FLOAT and ends no SUSTAIN; the cells begin and end it."""
    begun = next_state(StateMemory(), 50.0, 10.0, SETTINGS, 1.0, known=False)
    kept = next_state(begun, 100.0, 10.0, SETTINGS, 1.0, CellsSay(empty=False), known=False)
    ended = next_state(kept, 100.0, 10.0, SETTINGS, 60.0, CellsSay(empty=False, recovered=True), known=False)

    assert (begun.state, kept.state) == (SUSTAIN, SUSTAIN)
    assert ended.state not in (SUSTAIN, FLOAT)


def test_feed_in_is_remembered_until_sustain_ends() -> None:
    """60 s above CCL make it certain; that the current has gone then does not take it back, a new SUSTAIN does."""
    memory = StateMemory(SUSTAIN)
    for over_ccl in (*[True] * 59, False, True, True):
        memory = next_state(memory, 3.0, 10.0, SETTINGS, 1.0, over_ccl=over_ccl)
    assert memory.fed_in_s == 60.0
    memory = next_state(memory, 3.0, 10.0, SETTINGS, 600.0)
    assert memory.fed_in_s == 60.0

    out = next_state(memory, 9.0, 10.0, SETTINGS, 1.0)
    assert (out.state, out.fed_in_s) == (BULK, 0.0)
    assert next_state(out, 3.0, 10.0, SETTINGS, 1.0, over_ccl=False).fed_in_s == 0.0


def test_a_full_battery_is_not_held() -> None:
    """Cells of a full battery differ by more than a hold asks for: FLOAT balances as well, and no hold begins."""
    full = next_state(StateMemory(FLOAT, float_latched=True), 100.0, 200.0, SETTINGS, 1.0, over=True)
    not_full = next_state(StateMemory(FLOAT, float_latched=True), 100.0, 200.0, SETTINGS, 1.0)
    found_in_a_hold = next_state(StateMemory(HOLD, hold_elapsed_s=60.0), 97.0, 200.0, SETTINGS, 1.0, over=True)

    assert (full.state, not_full.state, found_in_a_hold.state) == (FLOAT, HOLD, FLOAT)


@pytest.mark.parametrize(("lowest_v", "state"), [(3.149, SUSTAIN), (3.151, BULK)])
@pytest.mark.parametrize("current_a", [0.0, -30.0, 30.0])
def test_sustain_begins_by_the_voltage_without_current(
    make_engine: Callable[..., Any], lowest_v: float, state: ChargeState, current_a: float
) -> None:
    """A load does not empty a battery that is not: 100 Ah, 30 A, 60 mV."""
    limits = make_engine().feed(soc=4.0, max_cell_v=lowest_v + 0.002 * current_a, delta_mv=0.0, current_a=current_a)

    assert limits.state is state


@pytest.mark.parametrize(
    ("chemistry", "empty_v"), [("li_ion", 3.45), ("lto", 2.05)], ids=["li-ion below 3.45 V", "lto below 2.05 V"]
)
def test_sustain_by_chemistry(
    make_engine: Callable[..., Any], request: pytest.FixtureRequest, chemistry: str, empty_v: float
) -> None:
    """It begins at the voltage of the chemistry and ends 0.07 V above; CVL is the target all the time."""
    ratings = request.getfixturevalue(chemistry)
    target_v = ratings.fully_charged_cell_v * ratings.series_cells
    engine, sample = make_engine(), {"soc": 4.0, "delta_mv": 0.0, "ratings": ratings}
    story = [(empty_v + 0.001, 60.0), (empty_v - 0.001, 1.0), (empty_v + 0.069, 300.0), (empty_v + 0.071, 62.0)]
    limits = [engine.last_for(seconds, max_cell_v=cell_v, **sample) for cell_v, seconds in story]

    assert [each.state for each in limits] == [BULK, SUSTAIN, SUSTAIN, BULK]
    assert [each.cvl_v for each in limits] == pytest.approx([target_v] * 4, abs=0.11)
    assert (limits[2].ccl_a, limits[2].dcl_a) == (5.0, 5.0)

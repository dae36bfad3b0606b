import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import (
    ChargeDefaults,
    ChargeProfile,
    Inhibited,
    LimitCode,
    LimitSettings,
    PolicySettings,
    Quantity,
    RateMemory,
    StopMemory,
    explain,
)
from tinybms_bridge.battery.limits.charge_stop import (
    NO_SWITCH,
    SwitchMemory,
    follow_stop,
    follow_switch,
    set_stop_level,
)
from tinybms_bridge.battery.limits.context import Context, make_context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.readings import ReadingMemory, next_readings
from tinybms_bridge.battery.snapshot import BmsStatus, Ratings, Snapshot

settings_before = partial(LimitSettings, defaults=ChargeDefaults.BEFORE)
"""These figures are about values around register 300; those by chemistry have tests of their own."""

MakeContext = Callable[..., Context]
MakeDraft = Callable[..., Draft]
MakeEngine = Callable[..., Any]

STOPPED = settings_before(inhibited=Inhibited(charge=True))
STORED = settings_before(policy=PolicySettings(profile=ChargeProfile.STORAGE))
FEEDING_IN = {"max_cell_v": 3.30, "delta_mv": 0.0, "current_a": 40.0, "soc": 60.0}
PACK_V = 16 * 3.30

IN_FORCE = RateMemory(53.6, 0.0, 100.0, running=True)


def stopped(make_draft: MakeDraft, context: Context, memory: StopMemory) -> Draft:
    """Return a draft in which charging is stopped."""
    draft = make_draft()
    set_stop_level(draft, context, memory)
    draft.stop_charge(0.0, LimitCode.MANUAL, detail="charge")
    return draft


def followed(
    make_context: MakeContext, make_draft: MakeDraft, moments: list[tuple[float, float]], memory: StopMemory
) -> list[StopMemory]:
    """Return the memory after each second with a cell voltage and a current."""
    seen = []
    for cell_v, current_a in moments:
        now = make_context(STOPPED, max_cell_v=cell_v, delta_mv=0.0, current_a=current_a)
        memory = follow_stop(stopped(make_draft, now, memory), now, memory, IN_FORCE, 1.0)
        seen.append(memory)
    return seen


@pytest.mark.parametrize(
    ("settings", "changes", "code"),
    [
        pytest.param(STOPPED, {}, LimitCode.MANUAL, id="by hand"),
        pytest.param(settings_before(), {"temperatures_c": (25.0, -5.0)}, LimitCode.TEMPERATURE, id="frost"),
        pytest.param(settings_before(), {"pack": {"status": BmsStatus.FAULT}}, LimitCode.BMS_FAULT, id="fault"),
    ],
)
def test_every_stop_ends_what_obeys_no_ccl(
    make_engine: MakeEngine, settings: LimitSettings, changes: dict[str, Any], code: LimitCode
) -> None:
    """It begins at rest, whatever a load does; under feed-in CVL goes below the pack, and the stop is its reason."""
    engine = make_engine(settings)
    begun = engine.feed(**{**FEEDING_IN, "current_a": -80.0, "max_cell_v": 3.15}, **changes)
    patient = engine.last_for(4.0, **FEEDING_IN, **changes)
    followed = engine.last_for(3.0, **FEEDING_IN, **changes)
    last = engine.last_for(60.0, **FEEDING_IN, **changes)

    assert begun.cvl_v == patient.cvl_v == pytest.approx(53.6)
    assert PACK_V - 0.1 < followed.cvl_v <= PACK_V
    assert last.cvl_v == pytest.approx(PACK_V - 0.6)
    assert {limits.binding(Quantity.CVL).code for limits in (begun, followed, last)} == {code}


def test_a_wish_goes_down_in_steps(make_engine: MakeEngine) -> None:
    """Storage is no emergency: CVL comes down by 0.1 V in 3 s, to rest and then below the pack; CCL ends at once."""
    engine = make_engine(STORED)
    engine.feed(**{**FEEDING_IN, "soc": 50.0})
    seen = [engine.feed(every_s=1.0, **FEEDING_IN) for _ in range(400)]
    falls = [before.cvl_v - after.cvl_v for before, after in pairwise(seen)]

    assert seen[0].ccl_a == 0.0
    assert seen[0].cvl_v == pytest.approx(58.3)
    assert max(falls) == pytest.approx(0.1)
    assert seen[30].cvl_v == pytest.approx(57.3)
    assert min(limits.cvl_v for limits in seen) == pytest.approx(PACK_V - 0.6)
    assert {limits.binding(Quantity.CVL).code for limits in seen} == {LimitCode.SOC_WINDOW}


def test_a_fault_does_not_wait_for_a_wish(make_engine: MakeEngine) -> None:
    """While CVL comes down for storage a fault brings it to rest with the same sample."""
    engine = make_engine(STORED)
    engine.feed(**{**FEEDING_IN, "soc": 50.0})
    engine.last_for(9.0, **FEEDING_IN)
    limits = engine.feed(**FEEDING_IN, open_events=(0x03,))

    assert limits.cvl_v == pytest.approx(53.6)
    assert limits.binding(Quantity.CVL).code is LimitCode.BMS_FAULT


def test_a_stop_is_the_reason_where_cvl_is_as_low_already(make_engine: MakeEngine, li_ion: Ratings) -> None:
    """With a target at or below rest CVL cannot go down; the user still sees that charging is stopped."""
    for cell_v in (3.90, 3.80):
        settings = replace(STOPPED, bulk_voltage_v=14 * cell_v)
        limits = make_engine(settings).feed(ratings=li_ion, max_cell_v=3.70)
        assert limits.cvl_v == pytest.approx(14 * cell_v)
        assert limits.binding(Quantity.CVL).code is LimitCode.MANUAL


def test_the_first_stop_is_the_reason(context: MakeContext, make_draft: MakeDraft) -> None:
    """Several stops at one level: the earliest stage has stopped charging; one that is above CVL says nothing."""
    draft = stopped(make_draft, context(), StopMemory())
    draft.stop_charge(0.0, LimitCode.BMS_FAULT)
    lower = make_draft(cvl_v=52.0)
    lower.stop_charge(0.0, LimitCode.MANUAL)

    assert [r.code for r in draft.reasons[3:]] == [LimitCode.MANUAL, LimitCode.MANUAL]
    assert [r.quantity for r in lower.reasons[3:]] == [Quantity.CCL]
    assert (lower[Quantity.CVL], lower.stopped) == (52.0, True)


def test_what_obeys_ccl_moves_nothing(context: MakeContext, make_draft: MakeDraft) -> None:
    """Peaks of a load that is switched off, noise and discharge leave the level at rest."""
    peaks = [(3.30, 60.0)] * 3 + [(3.30, -60.0)] * 40
    seen = followed(context, make_draft, peaks * 5 + [(3.30, 0.4)] * 600 + [(3.0, -100.0)] * 600, StopMemory())
    assert {memory.level_v for memory in seen} == {None}


def test_a_charge_that_the_bms_cuts_again_and_again_is_not_forgotten(
    context: MakeContext, make_draft: MakeDraft
) -> None:
    """In frost the BMS opens its switch within a second, so no charge lasts; CVL goes down to the pack at rest."""
    seen = followed(context, make_draft, ([(3.31, 30.0)] * 2 + [(3.30, 0.0)] * 6) * 5, StopMemory())
    assert seen[-1].level_v == pytest.approx(16 * 3.30 - 0.05, abs=0.05)


@pytest.mark.parametrize(
    ("disobeyed", "current_a", "coldest_c", "level_v"),
    [
        pytest.param(True, 0.0, 25.0, PACK_V, id="the sun carries the loads"),
        pytest.param(True, -3.0, 25.0, None, id="loads discharge the pack"),
        pytest.param(False, 0.0, 25.0, None, id="chargers that obey CCL"),
        pytest.param(True, 0.0, 0.7, PACK_V, id="just below register 320"),
        pytest.param(True, 0.0, 0.3, None, id="frost, where the switch of the BMS is open"),
    ],
)
def test_where_no_ccl_is_obeyed_the_level_waits_at_the_pack(
    context: MakeContext,
    make_draft: MakeDraft,
    make_ratings: Callable[..., Ratings],
    disobeyed: bool,
    current_a: float,
    coldest_c: float,
    level_v: float | None,
) -> None:
    """Before a switch of the BMS closes that flutters at register 320: nothing flows when it does."""
    ratings, temperatures_c = make_ratings(low_temperature_charge_c=1.0), (20.0, coldest_c, None)
    now = context(
        STOPPED,
        max_cell_v=3.30,
        delta_mv=0.0,
        current_a=current_a,
        ratings=ratings,
        temperatures_c=temperatures_c,
    )
    draft = stopped(make_draft, now, StopMemory())
    memory = follow_stop(draft, now, StopMemory(), IN_FORCE, 1.0, disobeyed=disobeyed)

    assert memory.level_v == (None if level_v is None else pytest.approx(level_v))


def test_the_level_sinks_slower_the_closer_it_is(context: MakeContext, make_draft: MakeDraft) -> None:
    """A volt in a minute at the most, and a few millivolts a second near the end: chargers take time to follow."""
    for current_a, rate_v_per_s in ((200.0, 0.02), (13.0, 0.01), (1.75, 0.001)):
        seen = followed(context, make_draft, [(3.30, current_a)] * 20, StopMemory())
        assert seen[-2].level_v is not None
        assert seen[-1].level_v == pytest.approx(seen[-2].level_v - rate_v_per_s, abs=1e-6)


moments = st.lists(st.tuples(st.floats(2.9, 3.6), st.floats(-150.0, 150.0)), min_size=1, max_size=40)


@given(moments=moments, level_v=st.none() | st.floats(0.0, 70.0))
def test_the_level_never_rises_and_never_follows_a_load(
    context: MakeContext, make_draft: MakeDraft, moments: list[tuple[float, float]], level_v: float | None
) -> None:
    """Whatever happens during a stop: within floor and resting, only down, and down only while it is charged."""
    before_v = level_v if level_v is not None and 51.2 <= level_v <= 53.6 else 53.6
    for (cell_v, current_a), memory in zip(
        moments, followed(context, make_draft, moments, StopMemory(level_v)), strict=True
    ):
        now_v = before_v if memory.level_v is None or not 51.2 <= memory.level_v <= 53.6 else memory.level_v
        assert 51.2 - 1e-9 <= now_v <= before_v + 1e-9
        if current_a <= 0.5:
            assert now_v == before_v
        assert now_v >= min(before_v, max(16 * cell_v - 0.6, 51.2)) - 1e-9
        before_v = now_v


def test_a_stop_survives_a_restart(make_engine: MakeEngine) -> None:
    """A bridge that starts again does not begin at rest, where the sun would charge once more."""
    engine = make_engine(STORED)
    before = engine.last_for(400.0, **FEEDING_IN)
    engine.restart()
    after = engine.feed(**FEEDING_IN)

    assert before.cvl_v < PACK_V
    assert after.cvl_v == pytest.approx(before.cvl_v, abs=0.02)
    assert after.binding(Quantity.CVL).code is LimitCode.SOC_WINDOW


def test_after_a_stop_cvl_rises_by_its_rate(make_engine: MakeEngine) -> None:
    """The end of a stop is no jump, and a stop that comes again meanwhile begins where CVL has come to."""
    engine = make_engine(STOPPED)
    low_v = engine.last_for(60.0, **FEEDING_IN).cvl_v
    engine.settings = replace(engine.settings, inhibited=Inhibited())
    risen_v = engine.last_for(30.0, **{**FEEDING_IN, "current_a": 0.0}).cvl_v
    engine.settings = replace(engine.settings, inhibited=STOPPED.inhibited)
    again_v = engine.feed(**FEEDING_IN).cvl_v

    assert low_v < PACK_V < risen_v <= low_v + 0.8 + 1e-9
    assert again_v == pytest.approx(risen_v)


def test_a_level_of_another_pack_is_none(context: MakeContext, make_draft: MakeDraft) -> None:
    """A level below the floor or above rest was learned elsewhere."""
    for level_v, expected_v in ((30.0, 53.6), (60.0, 53.6), (52.0, 52.0)):
        draft = make_draft()
        set_stop_level(draft, context(), StopMemory(level_v))
        assert draft.stop_v == pytest.approx(expected_v)


Sample = Callable[..., Snapshot]

FULL_V, TARGET_V, FLOOR_V = 3.65, 58.4, 51.2
"""Register 300, register 300 × 16, 3.20 V × 16."""
OTHERS_V = 3.45
FULL_PACK_V = 15 * OTHERS_V + FULL_V


@dataclass
class Switch:
    """The stage by itself, fed with raw readings that are confirmed as the engine does."""

    sample: Sample
    make_draft: MakeDraft
    feeds_in: bool = False
    memory: SwitchMemory = NO_SWITCH
    readings: ReadingMemory = field(default_factory=ReadingMemory)
    draft: Draft = field(init=False)
    now_s: float = 100.0
    number: int = 0

    def read(
        self,
        current_a: float,
        high_v: float = FULL_V,
        *,
        every_s: float = 0.1,
        count: int = 1,
        others_v: float = OTHERS_V,
    ) -> float:
        """Hand over equal readings; return CVL after the last one."""
        for _ in range(count):
            self.now_s += every_s
            self.number += 1
            cells_v = (high_v, *(others_v for _ in range(15)))
            raw = self.sample(sequence=self.number, taken_at_s=self.now_s, cells_v=cells_v, current_a=current_a)
            self.readings = next_readings(self.readings, raw, settings_before(), starting=False)
            self.draft = self.make_draft(cvl_v=TARGET_V)
            if self.readings.counted is not None and raw.ratings is not None:
                context = make_context(self.readings.counted, raw.ratings, settings_before(), feed_in=self.feeds_in)
                self.memory = follow_switch(self.draft, context, self.readings.window, self.memory, every_s)
        return self.draft[Quantity.CVL]


@pytest.fixture(name="switch")
def _switch(sample: Sample, make_draft: MakeDraft) -> Switch:
    return Switch(sample, make_draft)


@pytest.mark.parametrize("every_s", [0.1, 0.25, 1.0, 2.0])
def test_an_open_switch_is_waited_for_at_the_pack(switch: Switch, every_s: float) -> None:
    """At any poll interval: 40 A at register 300, then none; with the third such reading CVL is that of the pack."""
    before = switch.read(40.0, count=6, every_s=every_s)
    unconfirmed = switch.read(0.0, FULL_V - 0.01, count=2, every_s=every_s)
    opened = switch.read(0.0, FULL_V - 0.01, every_s=every_s)

    assert before == unconfirmed == TARGET_V
    assert opened == pytest.approx(FULL_PACK_V - 0.01)
    assert switch.draft.reasons[-1].code is LimitCode.SWITCH_OPEN
    assert "opened its charger switch at 3.65 V, cell 1 is at 3.64" in explain(switch.draft.reasons[-1])


def test_it_follows_the_pack_down_and_not_up(switch: Switch) -> None:
    """Cells relax behind an open switch; what comes back up meanwhile is no reason to give more."""
    switch.read(40.0, count=6)
    switch.read(0.0, count=3)
    down = switch.read(0.0, 3.63, count=5)
    up = switch.read(0.0, 3.645, count=5)

    assert down == up == pytest.approx(15 * OTHERS_V + 3.63)


def test_chargers_that_feed_in_are_told_less(switch: Switch) -> None:
    """They stand 0.4 V above CVL, so that is what brings them to the voltage of the pack."""
    switch.feeds_in = True
    switch.read(40.0, count=6)
    assert switch.read(0.0, count=3) == pytest.approx(FULL_PACK_V - 0.4)


def test_never_below_the_floor(switch: Switch) -> None:
    """A pack whose other cells are nearly empty would take CVL below it."""
    switch.read(40.0, count=6, others_v=3.15)
    assert switch.read(0.0, count=3, others_v=3.15) == FLOOR_V


@pytest.mark.parametrize(
    ("current_a", "high_v"),
    [(1.9, FULL_V), (40.0, FULL_V - 0.006), (-40.0, FULL_V)],
    ids=["a small current", "no cell there", "a load"],
)
def test_what_is_no_opening(switch: Switch, current_a: float, high_v: float) -> None:
    """A tail that ends, a cell that is not at register 300, a load that is switched off."""
    switch.read(current_a, high_v, count=6)
    assert switch.read(0.0, high_v, count=5) == TARGET_V


def test_a_charge_that_ends_slowly_is_no_opening(switch: Switch) -> None:
    """A GX that winds a charge down takes seconds."""
    for current_a in (40.0, 20.0, 10.0, 5.0, 2.0, 1.5, 1.0, 0.9):
        switch.read(current_a, count=5)
    assert switch.read(0.0, count=5) == TARGET_V


def test_one_reading_in_between_hides_nothing(switch: Switch) -> None:
    """The BMS may take a reading while the switch opens."""
    switch.read(40.0, count=6)
    switch.read(13.0)
    assert switch.read(0.0, count=4) < FULL_PACK_V + 0.1


def test_one_reading_decides_nothing(switch: Switch) -> None:
    """One current that reads 0, or one cell that reads high, opens no switch."""
    switch.read(40.0, count=6)
    assert switch.read(0.0) == TARGET_V
    switch.read(40.0, 3.60, count=6)
    switch.read(40.0, 3.70)
    switch.read(40.0, 3.60, count=2)
    assert switch.read(0.0, 3.60, count=5) == TARGET_V


def test_it_ends_when_current_flows(switch: Switch) -> None:
    """The switch has closed; one reading of it is none."""
    switch.read(40.0, count=6)
    switch.read(0.0, count=3)
    once = switch.read(5.0)
    assert once < TARGET_V
    assert switch.read(5.0, count=2) == TARGET_V


def test_a_load_ends_it_by_the_cells_only(switch: Switch) -> None:
    """A load says nothing of the charger switch of a dual-port unit, and what it takes away is not followed."""
    switch.read(40.0, count=6)
    opened = switch.read(0.0, count=3)
    assert switch.read(-30.0, FULL_V - 0.02, count=5, others_v=3.40) == opened
    assert switch.read(-30.0, FULL_V - 0.04, count=5) == TARGET_V


def test_it_ends_after_ten_minutes(switch: Switch) -> None:
    """A guess is not kept for hours, and what has ended does not begin again by itself."""
    switch.read(40.0, count=6, every_s=1.0)
    switch.read(0.0, count=3, every_s=1.0)
    assert switch.read(0.0, count=598, every_s=1.0) < TARGET_V
    assert switch.read(0.0, count=5, every_s=1.0) == TARGET_V


def test_far_from_register_300_the_memory_is_the_same_object(switch: Switch) -> None:
    """So nothing is made ten times a second."""
    switch.read(40.0, 3.40, count=8)
    assert switch.memory is NO_SWITCH


def test_the_engine_closes_the_switch_without_a_step(make_engine: MakeEngine) -> None:
    """In the whole engine, after a charge at register 300 has ended at once; old data ends it the usual way."""
    made = make_engine()
    made.last_for(60.0, cells_v=(FULL_V - 0.001, *[OTHERS_V] * 15), current_a=40.0)
    opened = made.feed(cells_v=(FULL_V - 0.004, *[OTHERS_V] * 15), current_a=0.0)

    assert opened.cvl_v <= FULL_PACK_V
    assert any(reason.code is LimitCode.SWITCH_OPEN for reason in opened.reasons)
    assert made.wait(5.0).cvl_v <= 53.6


@given(
    readings=st.lists(
        st.tuples(
            st.sampled_from((0.0, 1.0, 3.0, 40.0, -20.0, 0.8)),
            st.floats(3.2, 3.75),
            st.sampled_from((0.1, 0.5, 1.0, 3.5)),
        ),
        max_size=40,
    ),
    feeds_in=st.booleans(),
)
def test_it_only_lowers(sample: Sample, make_draft: MakeDraft, readings: list[Any], feeds_in: bool) -> None:
    """Whatever is read: CVL is a number from the floor to what the stages before allow, for ten minutes at most."""
    switch = Switch(sample, make_draft, feeds_in=feeds_in)
    for current_a, high_v, every_s in readings:
        cvl_v = switch.read(current_a, high_v, every_s=every_s)
        assert math.isfinite(cvl_v)
        assert FLOOR_V <= cvl_v <= TARGET_V
        assert switch.memory.open_s < 600.0

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.limits import ChargeDefaults, LimitCode, LimitSettings, Quantity, explain
from tinybms_bridge.battery.limits.charge_switch import NO_SWITCH, SwitchMemory, follow_switch
from tinybms_bridge.battery.limits.context import make_context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.readings import ReadingMemory, next_readings
from tinybms_bridge.battery.snapshot import Snapshot

settings_before = partial(LimitSettings, defaults=ChargeDefaults.BEFORE)
"""These figures are about values around register 300; those by chemistry have tests of their own."""

MakeDraft = Callable[..., Draft]
MakeEngine = Callable[..., Any]
Sample = Callable[..., Snapshot]

FULL_V, TARGET_V, FLOOR_V = 3.65, 58.4, 51.2
"""Register 300, register 300 × 16, 3.20 V × 16."""
OTHERS_V = 3.45
PACK_V = 15 * OTHERS_V + FULL_V


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
    assert opened == pytest.approx(PACK_V - 0.01)
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
    assert switch.read(0.0, count=3) == pytest.approx(PACK_V - 0.4)


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
    assert switch.read(0.0, count=4) < PACK_V + 0.1


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

    assert opened.cvl_v <= PACK_V
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

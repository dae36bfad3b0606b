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
    Freshness,
    LimitCode,
    LimitSettings,
    ProtectionMemory,
    ProtectionSettings,
    Quantity,
    RateSettings,
)
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.protection import protect_cells
from tinybms_bridge.battery.snapshot import Ratings

settings_before = partial(LimitSettings, defaults=ChargeDefaults.BEFORE)
"""These figures are about values around register 300; those by chemistry have tests of their own."""

MakeContext = Callable[..., Context]
MakeDraft = Callable[..., Draft]
MakeEngine = Callable[..., Any]

THRESHOLD_V, RELEASE_V, FLOOR_V, TARGET_V = 3.67, 3.65, 51.2, 58.4
"""Of the 16 cell LFP pack: a fifth of the way from register 300 to 315, register 300, 3.20 V × 16, 3.65 V × 16."""


@dataclass
class Controller:
    """The controller of cell protection by itself; the pack is at 58.0 V unless told otherwise."""

    context: MakeContext
    make_draft: MakeDraft
    settings: LimitSettings = field(default_factory=settings_before)
    memory: ProtectionMemory = field(default_factory=ProtectionMemory)
    draft: Draft | None = None

    def at(
        self,
        max_cell_v: float,
        *,
        seconds: float = 1.0,
        pack_v: float = 58.0,
        current_a: float = 10.0,
        target_v: float = TARGET_V,
        ccl_a: float = 50.0,
    ) -> float:
        """Return CVL with a highest cell after some time."""
        context = self.context(self.settings, max_cell_v=max_cell_v, pack={"voltage_v": pack_v, "current_a": current_a})
        self.draft = self.make_draft(cvl_v=target_v, ccl_a=ccl_a)
        self.memory = protect_cells(self.draft, context, self.memory, seconds)
        return self.draft[Quantity.CVL]

    def each(self, cells_v: list[float], **more: float) -> list[float]:
        """Return CVL with each of several highest cells in turn."""
        return [self.at(cell_v, **more) for cell_v in cells_v]


@pytest.fixture(name="controller")
def _controller(context: MakeContext, make_draft: MakeDraft) -> Controller:
    return Controller(context, make_draft)


@pytest.mark.parametrize("max_cell_v", [2.5, 3.3, 3.649, 3.66, THRESHOLD_V, math.nan])
def test_nothing_below_the_threshold(controller: Controller, max_cell_v: float) -> None:
    """Up to the threshold, which itself is not above it, nothing is lowered, noted or remembered."""
    assert controller.at(max_cell_v) == TARGET_V
    assert controller.memory == ProtectionMemory()
    assert controller.draft is not None
    assert len(controller.draft.reasons) == 3


def test_cvl_drops_with_the_sample_that_is_too_high(controller: Controller) -> None:
    """Within the same step CVL lies a step of the frame below the pack, and 120 V per cell volt lower."""
    assert controller.at(3.673, current_a=0.0) == pytest.approx(58.0 - 0.1 - 120 * 0.003)
    assert controller.draft is not None
    reason = controller.draft.reasons[-1]
    assert (reason.quantity, reason.code) == (Quantity.CVL, LimitCode.CELL_HIGH)
    assert (reason.value, reason.threshold) == pytest.approx((3.673, THRESHOLD_V))
    assert reason.cell == 1


def test_the_further_above_the_lower(context: MakeContext, make_draft: MakeDraft) -> None:
    """CVL falls with the excess of the cell and with the charge current, 157 A of which double it."""
    by_cell = [Controller(context, make_draft).at(v, current_a=0.0) for v in (3.671, 3.673, 3.715, 3.72)]
    by_current = [Controller(context, make_draft).at(3.671, current_a=a, ccl_a=300.0) for a in (-50, 0, 78.5, 157)]

    assert by_cell == pytest.approx([57.78, 57.54, 52.5, 51.9])
    assert by_current == pytest.approx([57.78, 57.78, 57.72, 57.66])


def test_without_an_emergency_the_battery_is_not_emptied(context: MakeContext, make_draft: MakeDraft) -> None:
    """0.6 V below the pack every charger has stopped; more would sell the battery, and waits for half of the way."""
    seen = [Controller(context, make_draft).at(v, current_a=0.0) for v in (3.68, 3.70, 3.709, 3.711)]

    assert seen == pytest.approx([57.4, 57.4, 57.4, 58.0 - 0.1 - 120 * 0.041])


@pytest.mark.parametrize("gain", [0.0, 120.0, 1000.0])
def test_never_below_the_floor(context: MakeContext, make_draft: MakeDraft, gain: float) -> None:
    """A GX that feeds in discharges the battery down to CVL: whatever the cell, the floor stays."""
    settings = settings_before(protection=ProtectionSettings(gain=gain))
    controller = Controller(context, make_draft, settings)

    assert all(cvl_v >= FLOOR_V for cvl_v in controller.each([3.68, 3.9, 5.0] * 100, pack_v=30.0))
    assert controller.memory.knee_v == FLOOR_V


def test_how_often_it_is_asked_does_not_matter(context: MakeContext, make_draft: MakeDraft) -> None:
    """Ten samples a second lower CVL no further than one: a GX answers after seconds, not between two samples."""
    slow, fast = Controller(context, make_draft), Controller(context, make_draft)

    for _ in range(5):
        slow_v = slow.at(3.68, seconds=1.0)
        fast_v = [fast.at(3.68, seconds=0.1) for _ in range(10)][-1]
        assert fast_v == pytest.approx(slow_v)
    assert fast_v > 56.5


def test_a_hold_of_old_data_lowers_nothing_more(make_engine: MakeEngine) -> None:
    """While no new sample comes, the last one is no news: what was learned stands still."""
    engine = make_engine()
    engine.feed(max_cell_v=3.69, current_a=20.0)
    assert engine.wait(4.0).freshness is Freshness.HOLD
    before = engine.memory.protection
    assert before.cap_v is not None
    assert engine.wait(25.0).freshness is Freshness.HOLD
    assert engine.memory.protection == before


def test_rises_only_after_the_release_and_by_the_ramp(controller: Controller) -> None:
    """Between release and threshold CVL stands; below the release it rises by 20 mV a second, not in one step."""
    low_v = controller.at(3.69)
    assert set(controller.each([3.66, 3.651, 3.669] * 50)) == {low_v}
    rising = controller.each([RELEASE_V, 3.60, 3.40, 3.20, 3.64])

    assert [after - before for before, after in pairwise([low_v, *rising])] == pytest.approx([0.02] * 5)


def test_rises_up_to_a_step_below_the_knee(controller: Controller) -> None:
    """CVL comes back to 0.1 V below the voltage at which the cell was too high, and stays there."""
    controller.at(3.68, pack_v=57.2)
    seen = controller.each([3.60] * 300)

    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(57.1)
    assert controller.memory.knee_v == pytest.approx(57.2)


def test_knee_is_the_lower_one_of_cvl_and_pack(context: MakeContext, make_draft: MakeDraft) -> None:
    """While current is limited the pack is below CVL; under feed-in it is above: neither voltage may come again."""
    for pack_v, target_v, knee_v in ((56.0, 58.4, 56.0), (57.3, 57.0, 57.0)):
        controller = Controller(context, make_draft)
        controller.at(3.68, pack_v=pack_v, target_v=target_v)
        assert controller.memory.knee_v == pytest.approx(knee_v)


def test_knee_follows_the_pack_down(controller: Controller) -> None:
    """As long as the cell is too high, the voltage that the pack falls to is too high as well."""
    controller.at(3.70, pack_v=57.8)
    controller.at(3.68, pack_v=57.5)
    controller.at(3.671, pack_v=57.2, current_a=0.0)

    assert controller.memory.knee_v == pytest.approx(57.2)


def test_knee_is_raised_once_per_relearn_time(context: MakeContext, make_draft: MakeDraft) -> None:
    """An hour of released cells later CVL tries one step of 0.1 V more, and so each hour."""
    settings = settings_before(protection=ProtectionSettings(relearn_s=3600.0))
    controller = Controller(context, make_draft, settings)
    controller.at(3.68, pack_v=57.0)
    seen = controller.each([3.60] * (3 * 60 + 30), seconds=60.0)

    assert seen[58] == pytest.approx(56.9)
    assert [seen[minute] for minute in (65, 125, 185)] == pytest.approx([57.0, 57.1, 57.2])


def test_a_cell_without_room_is_not_tried(context: MakeContext, make_draft: MakeDraft) -> None:
    """Less than 20 mV below its release a step of CVL would only be taken back: it waits, and the time counts."""
    settings = settings_before(protection=ProtectionSettings(release_v=3.65, relearn_s=3600.0))
    controller = Controller(context, make_draft, settings)
    controller.at(3.68, pack_v=57.0)
    near = controller.each([3.64] * 600, seconds=60.0)

    assert near[-1] == pytest.approx(56.9)
    assert controller.each([3.62] * 30)[-1] == pytest.approx(57.0)


def test_time_between_release_and_threshold_teaches_nothing(controller: Controller) -> None:
    """A cell that stays near its threshold does not let CVL rise, for however long."""
    low_v = controller.at(3.675, pack_v=57.0)

    assert set(controller.each([3.66] * 500, seconds=60.0)) == {low_v}


def test_too_high_again_learns_a_lower_knee(controller: Controller) -> None:
    """The CVL in force led there again after a release, so it is the new knee: it is not tried a third time."""
    controller.at(3.68, pack_v=57.0)
    controller.each([3.60] * 300)
    controller.at(3.671, pack_v=57.4)
    assert controller.memory.knee_v == pytest.approx(56.9)
    assert controller.each([3.60] * 300)[-1] == pytest.approx(56.8)


def test_noise_at_the_threshold_is_one_event(controller: Controller) -> None:
    """A cell that flickers around its threshold without a release does not drive CVL down again and again."""
    first_v = controller.at(3.671, current_a=0.0)
    seen = controller.each([3.669, 3.671] * 200, seconds=0.1, current_a=0.0)

    assert min(seen) == pytest.approx(first_v)


def test_ends_when_the_target_is_reached(controller: Controller) -> None:
    """Back at the target nothing is remembered, and the next stages see no reason any more."""
    controller.at(3.68, pack_v=58.4)
    seen = controller.each([3.50] * 150, seconds=60.0)

    assert seen[-1] == TARGET_V
    assert controller.memory == ProtectionMemory()
    assert seen == sorted(seen)


def test_a_lower_target_is_not_raised(controller: Controller) -> None:
    """In FLOAT or a hold the target lies lower than the cap: CVL is the target, and the cap is done with."""
    controller.at(3.68, pack_v=57.0)
    assert controller.at(3.60, target_v=55.0) == 55.0


@pytest.mark.parametrize("max_cell_v", [3.3, 3.66, 3.68, 3.9])
def test_currents_are_left_alone(controller: Controller, max_cell_v: float) -> None:
    """A high cell is no reason to spare the loads: discharging is what it needs (a fault of the firmware)."""
    controller.at(max_cell_v)
    assert controller.draft is not None

    assert (controller.draft[Quantity.CCL], controller.draft[Quantity.DCL]) == (50.0, 100.0)


def test_under_feed_in_it_goes_on_down(controller: Controller) -> None:
    """A solar charger that feeds in keeps the pack 0.4 V above any CVL: CVL goes down while the cell stays high."""
    first_v = controller.at(3.671, pack_v=57.4, current_a=30.0)
    seen, pack_v = [first_v], first_v + 0.4
    for _ in range(200):
        seen.append(controller.at(3.671, pack_v=pack_v, current_a=30.0))
        pack_v = seen[-1] + 0.4

    assert seen == sorted(seen, reverse=True)
    assert seen[-1] < first_v - 0.9


def test_a_cell_that_rests_high_is_left_to_the_balancer(controller: Controller) -> None:
    """Without charge current there is nothing to throttle: CVL does not wander down to the floor over a night."""
    first_v = controller.at(3.675, current_a=0.0)

    assert set(controller.each([3.675] * 100, seconds=60.0, current_a=0.0)) == {first_v}


@pytest.mark.parametrize(
    ("current_a", "ccl_a", "knee_v"),
    [
        (5.0, 5.0, 57.0),
        (10.9, 5.0, 57.0),
        (97.0, 5.0, 56.6),
        (97.0, 100.0, 57.0),
        # A GX that obeys CCL rounds it up and is late by a load that is gone: a fifth and 5 A; above, it feeds in.
        (64.9, 50.0, 57.0),
        (66.0, 50.0, 56.6),
        (125.1, 100.0, 56.6),
    ],
)
def test_feed_in_is_known_by_its_current(controller: Controller, current_a: float, ccl_a: float, knee_v: float) -> None:
    """Solar chargers that do not keep to CCL feed in, 0.4 V above CVL: the CVL that led there is so much lower."""
    controller.at(3.68, pack_v=57.0, current_a=current_a, ccl_a=ccl_a)

    assert controller.memory.knee_v == pytest.approx(knee_v)


def test_thresholds_of_the_user(context: MakeContext, make_draft: MakeDraft) -> None:
    """Threshold, release, gain, ramp and relearn time are those of the settings."""
    settings = settings_before(
        protection=ProtectionSettings(
            threshold_v=3.55, release_v=3.50, gain=10.0, relearn_s=10.0, nominal_current_a=10.0
        ),
        rates=RateSettings(cvl_step_v=2.0, cvl_interval_s=20.0),
    )
    controller = Controller(context, make_draft, settings)

    assert controller.at(3.55) == TARGET_V
    assert controller.at(3.57, pack_v=57.0) == pytest.approx(57.0 - 0.1 - 10.0 * 2.0 * 0.02)
    assert controller.at(3.51) == pytest.approx(56.5)
    assert controller.each([3.50] * 4) == pytest.approx([56.6, 56.7, 56.8, 56.9])
    assert controller.each([3.47] * 8)[-1] == pytest.approx(57.0)


def test_release_above_the_threshold_is_the_threshold(context: MakeContext, make_draft: MakeDraft) -> None:
    """Crossed thresholds, refused by the configuration, neither flicker nor hold for ever."""
    settings = settings_before(protection=ProtectionSettings(threshold_v=3.55, release_v=3.60))
    controller = Controller(context, make_draft, settings)
    low_v = controller.at(3.56)

    assert controller.at(3.555) <= low_v
    assert controller.at(3.55) > low_v


@pytest.mark.parametrize(("nominal_a", "current_a"), [(0.0, 100.0), (157.0, math.nan), (-5.0, 1e9)])
def test_no_number_breaks_it(context: MakeContext, make_draft: MakeDraft, nominal_a: float, current_a: float) -> None:
    """A nominal current of 0 or a current that is no number is no reason not to protect the cell."""
    settings = settings_before(protection=ProtectionSettings(nominal_current_a=nominal_a))

    assert FLOOR_V <= Controller(context, make_draft, settings).at(3.72, current_a=current_a) < 56.0


def test_memory_of_another_pack_is_forgotten(controller: Controller) -> None:
    """What was learned from a pack of fewer cells would hold this one at its floor for days."""
    controller.memory = ProtectionMemory(cap_v=27.0, knee_v=28.0)

    assert controller.at(3.30) == TARGET_V
    assert controller.memory == ProtectionMemory()


@pytest.mark.parametrize("which", ["li_ion", "lto"])
def test_fits_every_chemistry(
    which: str, request: pytest.FixtureRequest, context: MakeContext, make_draft: MakeDraft
) -> None:
    """A balanced pack at its target is below the threshold; a fifth of the way to the cutoff is above it."""
    ratings: Ratings = request.getfixturevalue(which)
    full_v, cells = ratings.fully_charged_cell_v, ratings.series_cells
    margin_v = 0.2 * (ratings.over_voltage_cell_v - full_v)
    for above_v, lowered in ((0.0, False), (margin_v, False), (margin_v + 0.001, True)):
        made = context(ratings=ratings, max_cell_v=full_v + above_v, delta_mv=0.0)
        draft = make_draft(cvl_v=full_v * cells)
        protect_cells(draft, made, ProtectionMemory(), 1.0)
        assert (draft[Quantity.CVL] < full_v * cells) is lowered
        assert draft[Quantity.CVL] >= made.floor_v


def test_a_restart_in_the_middle_keeps_what_was_learned(make_engine: MakeEngine) -> None:
    """Cap and knee survive: the first CVL after a start is the low one, and it rises by the ramp, up to the knee."""
    engine = make_engine(settings_before(rates=RateSettings(cvl_interval_s=0.0)))
    high = {"max_cell_v": 3.68, "current_a": 20.0, "pack": {"voltage_v": 57.0}}
    before = engine.feed(5, **high)
    learned = engine.memory.protection
    engine.restart()
    after = engine.feed(max_cell_v=3.66)

    assert after.cvl_v == pytest.approx(before.cvl_v)
    assert engine.memory.protection == learned
    assert engine.last_for(300.0, max_cell_v=3.60).cvl_v == pytest.approx(learned.knee_v - 0.1)


cells = st.floats(3.2, 3.9) | st.floats(3.64, 3.69)
moments = st.lists(
    st.tuples(cells, st.sampled_from([0.1, 1.0, 30.0, 3600.0]), st.floats(50.0, 60.0), st.floats(-100.0, 200.0)),
    max_size=40,
)


@given(moments, st.floats(53.0, 58.4))
def test_history_of_a_cell(
    context: MakeContext, make_draft: MakeDraft, story: list[tuple[float, float, float, float]], target_v: float
) -> None:
    """Over any history: floor to target, no rise while too high, rises only by the ramp, cap below the knee."""
    controller, before_v = Controller(context, make_draft), target_v
    for cell_v, seconds, pack_v, current_a in story:
        cvl_v = controller.at(cell_v, seconds=seconds, pack_v=pack_v, current_a=current_a, target_v=target_v)
        memory = controller.memory
        assert FLOOR_V <= cvl_v <= target_v
        assert cvl_v <= before_v + 0.02 * seconds + 1e-9
        if cell_v > THRESHOLD_V:
            assert cvl_v <= before_v
            assert memory.cap_v is not None
        if RELEASE_V < cell_v <= THRESHOLD_V:
            assert cvl_v == before_v
        if memory.cap_v is not None:
            assert memory.knee_v is not None
            assert memory.cap_v <= max(FLOOR_V, memory.knee_v - 0.1) + 1e-9
        before_v = cvl_v


@given(st.floats(3.671, 4.0), st.floats(0.001, 0.3), st.floats(0.0, 200.0))
def test_a_higher_cell_never_gets_a_higher_cvl(
    context: MakeContext, make_draft: MakeDraft, cell_v: float, more_v: float, current_a: float
) -> None:
    """The controller is monotone in the cell, and in the current."""
    low, high, driven = (Controller(context, make_draft) for _ in range(3))
    low_v = low.at(cell_v, current_a=current_a)

    assert high.at(cell_v + more_v, current_a=current_a) <= low_v
    assert driven.at(cell_v, current_a=current_a + 50.0) <= low_v
    assert replace(low.memory, cap_v=None) == replace(high.memory, cap_v=None)

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.freshness import FreshnessMemory, Motion
from tinybms_bridge.battery.limits import (
    ChargeState,
    Freshness,
    LimitCode,
    Limits,
    LimitSettings,
    ManualInhibits,
    Quantity,
    Reason,
)
from tinybms_bridge.battery.limits.context import Context, make_context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.protection import apply_freshness, apply_manual, final_clamp
from tinybms_bridge.battery.limits.words import explain
from tinybms_bridge.battery.snapshot import Ratings, Snapshot

MakeContext = Callable[[LimitSettings], Context]


@pytest.fixture(scope="session", name="context")
def _context(make_snapshot: Callable[..., Snapshot], make_ratings: Callable[..., Ratings]) -> MakeContext:
    """Return a builder of the context of one step with a 16 cell LFP pack: 51.2, 53.6 and 58.4 V."""
    return lambda settings: make_context(make_snapshot(), make_ratings(), settings)


def draft_of(cvl_v: float = 57.0, ccl_a: float = 50.0, dcl_a: float = 100.0) -> Draft:
    """Return a draft as an earlier stage may leave it."""
    limits = {Quantity.CVL: cvl_v, Quantity.CCL: ccl_a, Quantity.DCL: dcl_a}
    draft = Draft({quantity: Reason(quantity, LimitCode.CONFIGURED, limit) for quantity, limit in limits.items()})
    draft.stop_v = 53.6
    return draft


def values(draft: Draft) -> tuple[float, float, float]:
    """Return CVL, CCL and DCL of a draft."""
    return draft[Quantity.CVL], draft[Quantity.CCL], draft[Quantity.DCL]


def fresh_limits(dcl_a: float) -> Limits:
    """Return limits that were decided while the data was fresh."""
    return Limits(57.0, 50.0, dcl_a, 46.4, ChargeState.BULK, Freshness.FRESH)


def seen(state: Freshness) -> FreshnessMemory:
    """Return the memory of a last good sample at 100 s."""
    return FreshnessMemory(state, last_sample_s=100.0)


def test_fresh_data_changes_nothing(context: MakeContext) -> None:
    """With fresh data this stage adds no cause."""
    draft = draft_of()
    apply_freshness(draft, context(LimitSettings()), seen(Freshness.FRESH), 100.1, fresh_limits(80.0))

    assert values(draft) == (57.0, 50.0, 100.0)
    assert len(draft.reasons) == 3


@pytest.mark.parametrize("state", [Freshness.HOLD, Freshness.SILENT, Freshness.STARTING])
def test_old_data_stops_charging(context: MakeContext, state: Freshness) -> None:
    """Old data: no charge current, CVL at the resting voltage, discharge as it was, each with its age and limit."""
    draft = draft_of()
    apply_freshness(draft, context(LimitSettings()), seen(state), 104.2, fresh_limits(80.0))

    assert values(draft) == pytest.approx((53.6, 0.0, 80.0))
    for reason in draft.reasons[3:]:
        assert (reason.code, reason.threshold, reason.detail) == (LimitCode.STALE, 3.0, state)
        assert reason.value == pytest.approx(4.2)


def test_frozen_data_stops_charging_for_its_own_reason(context: MakeContext) -> None:
    """Samples come, but nothing moves: the same limits, and words that say so."""
    draft = draft_of()
    memory = replace(seen(Freshness.HOLD), frozen=True, motion=Motion(changed_s=93.8, changes=20, longest_s=1.5))
    apply_freshness(draft, context(LimitSettings()), memory, 100.1, fresh_limits(80.0))

    assert values(draft) == pytest.approx((53.6, 0.0, 80.0))
    for reason in draft.reasons[3:]:
        assert (reason.code, reason.threshold) == (LimitCode.FROZEN, 4.5)
        assert reason.value == pytest.approx(6.3)
    assert explain(draft.reasons[-1]) == "DCL 80.0 A: the readings of the BMS have stood still for 6.3 s"


def test_old_data_never_raises_a_limit(context: MakeContext) -> None:
    """What another cause set lower stays lower in a hold."""
    draft = draft_of(cvl_v=52.0, ccl_a=0.0, dcl_a=5.0)
    apply_freshness(draft, context(LimitSettings()), seen(Freshness.HOLD), 104.2, fresh_limits(80.0))

    assert values(draft) == (52.0, 0.0, 5.0)


def test_old_data_without_a_past_stops_discharging(context: MakeContext) -> None:
    """Where no limits were ever decided from fresh data, "as it was" is nothing."""
    draft = draft_of()
    apply_freshness(draft, context(LimitSettings()), seen(Freshness.STARTING), 100.0, None)

    assert draft[Quantity.DCL] == 0.0


@pytest.mark.parametrize(
    ("manual", "expected"),
    [
        (ManualInhibits(), (57.0, 50.0, 100.0)),
        (ManualInhibits(stop_charge=True), (53.6, 0.0, 100.0)),
        (ManualInhibits(stop_discharge=True), (57.0, 50.0, 0.0)),
        (ManualInhibits(stop_charge=True, stop_discharge=True), (53.6, 0.0, 0.0)),
    ],
)
def test_manual_stops(context: MakeContext, manual: ManualInhibits, expected: tuple[float, float, float]) -> None:
    """A charge stop lowers CVL too, since a GX that feeds in applies CCL to no solar charger; each stop is named."""
    draft = draft_of()
    apply_manual(draft, context(LimitSettings(manual=manual)))

    assert values(draft) == pytest.approx(expected)
    assert {reason.code for reason in draft.reasons[3:]} <= {LimitCode.MANUAL}
    assert all(reason.detail.startswith("stop ") for reason in draft.reasons[3:])


@pytest.mark.parametrize(
    ("cvl_v", "expected_v", "code"),
    [
        (0.0, 51.2, LimitCode.FLOOR),
        (-1.0, 51.2, LimitCode.FLOOR),
        (math.nan, 51.2, LimitCode.FLOOR),
        (-math.inf, 51.2, LimitCode.FLOOR),
        (math.inf, 58.4, LimitCode.CEILING),
        (2359.2, 58.4, LimitCode.CEILING),
        (55.0, 55.0, LimitCode.CONFIGURED),
    ],
)
def test_cvl_is_clamped(context: MakeContext, cvl_v: float, expected_v: float, code: LimitCode) -> None:
    """Whatever earlier stages did, CVL is never 0, never absurd and never not a number."""
    draft = draft_of(cvl_v=cvl_v)
    final_clamp(draft, context(LimitSettings()))

    assert draft[Quantity.CVL] == pytest.approx(expected_v)
    assert [r.code for r in draft.reasons if r.quantity is Quantity.CVL][-1] is code


@pytest.mark.parametrize(
    ("current_a", "maximum_a", "expected_a"),
    [
        (50.0, None, 50.0),
        (50.0, 40.0, 40.0),
        (-5.0, 40.0, 0.0),
        (math.nan, 40.0, 0.0),
        (0.0, 40.0, 0.0),
        (math.inf, None, 3276.7),
        (9e9, None, 3276.7),
        (50.0, 0.0, 0.0),
    ],
)
def test_currents_are_clamped(
    context: MakeContext, current_a: float, maximum_a: float | None, expected_a: float
) -> None:
    """Both currents end between 0 and the user's maximum, and within what frame 0x351 can carry."""
    settings = LimitSettings(max_charge_current_a=maximum_a, max_discharge_current_a=maximum_a)
    draft = draft_of(ccl_a=current_a, dcl_a=current_a)
    final_clamp(draft, context(settings))

    assert (draft[Quantity.CCL], draft[Quantity.DCL]) == (expected_a, expected_a)


def test_clamp_prefers_the_ceiling(context: MakeContext) -> None:
    """Where a high floor and a low ceiling cross, the clamp gives the ceiling."""
    draft = draft_of(cvl_v=60.0)
    final_clamp(draft, context(LimitSettings(cell_max_v=3.3, floor_cell_v=3.5)))

    assert draft[Quantity.CVL] == pytest.approx(52.8)


@given(
    st.floats(allow_nan=False),
    st.lists(st.tuples(st.sampled_from(Quantity), st.floats(), st.sampled_from(LimitCode)), max_size=20),
)
def test_a_draft_only_goes_down(start: float, steps: list[tuple[Quantity, float, LimitCode]]) -> None:
    """No stage can raise a limit through ``lower``, and the last cause of a quantity always carries its value."""
    draft = draft_of(start, start, start)
    for quantity, limit, code in steps:
        before = draft[quantity]
        draft.lower(quantity, limit, code)
        assert draft[quantity] <= before
        assert [r.limit for r in draft.reasons if r.quantity is quantity][-1] == draft[quantity]

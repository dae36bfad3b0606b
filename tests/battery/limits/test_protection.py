import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.bms_event_kinds import EVENT_KINDS, Severity, Stops, kind_of
from tinybms_bridge.battery.freshness import FreshnessMemory, Motion
from tinybms_bridge.battery.limits import (
    ChargeDefaults,
    ChargeState,
    Freshness,
    Inhibited,
    LimitCode,
    Limits,
    LimitSettings,
    Quantity,
    Reason,
)
from tinybms_bridge.battery.limits.context import Context, make_context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.limits.protection import apply_freshness, apply_inhibits, final_clamp, obey_bms
from tinybms_bridge.battery.limits.reasons import explain
from tinybms_bridge.battery.snapshot import BmsStatus, Ratings, Snapshot, Switches

settings_before = partial(LimitSettings, defaults=ChargeDefaults.BEFORE)
"""These figures are about values around register 300; those by chemistry have tests of their own."""

MakeContext = Callable[..., Context]
MakeDraft = Callable[..., Draft]
Engine = Any

UNTOUCHED = (58.4, 50.0, 100.0)
NO_CHARGE = (53.6, 0.0, 100.0)
NO_DISCHARGE = (58.4, 50.0, 0.0)
NOTHING = (53.6, 0.0, 0.0)

CUTS = {
    0x02: NOTHING,  # under-voltage
    0x03: NO_CHARGE,  # over-voltage: a fault that keeps the load on
    0x04: NOTHING,  # over-heat
    0x05: NO_DISCHARGE,  # discharge over-current; the charger as well where the board's transistors switch both
    0x06: NO_CHARGE,  # charge over-current: a fault that keeps the load on
    0x07: NOTHING,  # regeneration over-current
    0x0A: NOTHING,  # below -40 °C
    0x0E: NOTHING,  # current sensor lost
    0x31: NO_DISCHARGE,  # discharged
    0x37: NO_CHARGE,  # too cold to charge
}
"""What the BMS cuts, dual-port mode with an external switch (protocol reference, section 5.1)."""

OTHERWISE = {
    (0x05, Switches.TWO_FETS): NOTHING,
    (0x05, Switches.SINGLE): NOTHING,
    (0x05, Switches.UNKNOWN): NOTHING,
    (0x06, Switches.SINGLE): NOTHING,
}
"""What it cuts on other units; one whose registers are not known may have two transistors."""

ANNOUNCING = [0x0B, 0x0C, 0x0D, 0x0F]
"""Faults of which no document says that they cut anything."""


def limits_of(draft: Draft) -> tuple[float, float, float]:
    """Return CVL, CCL and DCL."""
    return draft[Quantity.CVL], draft[Quantity.CCL], draft[Quantity.DCL]


def with_switches(context: MakeContext, switches: Switches = Switches.APART) -> Ratings:
    """Return the settings of the usual LFP pack whose load and charger are switched in some way."""
    return replace(context().ratings, switches=switches)


def obeyed(
    context: MakeContext, make_draft: MakeDraft, status: BmsStatus, *events: int, ratings: Ratings | None = None
) -> tuple[tuple[float, float, float], list[str]]:
    """Return the limits and the details of the causes with a status and open events."""
    draft = make_draft()
    obey_bms(draft, context(pack={"status": status}, open_events=events, ratings=ratings or with_switches(context)))
    assert {reason.code for reason in draft.reasons[3:]} <= {LimitCode.BMS_FAULT}
    return limits_of(draft), [reason.detail for reason in draft.reasons[3:]]


@pytest.mark.parametrize("number", sorted(EVENT_KINDS))
@pytest.mark.parametrize("status", [BmsStatus.FAULT, BmsStatus.IDLE, BmsStatus.DISCHARGING])
def test_each_event_caps_what_the_bms_cuts(
    context: MakeContext, make_draft: MakeDraft, number: int, status: BmsStatus
) -> None:
    """Every event of the vendor's list, direction by direction; whether register 50 says fault or 0x97 is the same."""
    expected = CUTS.get(number, NO_CHARGE if status is BmsStatus.FAULT else UNTOUCHED)
    decided, details = obeyed(context, make_draft, status, number)

    assert decided == pytest.approx(expected)
    assert all(detail == EVENT_KINDS[number].key for detail in details) or number not in CUTS


@pytest.mark.parametrize("switches", Switches)
@pytest.mark.parametrize("number", sorted(CUTS))
def test_what_a_fault_cuts_hangs_on_the_switches(
    context: MakeContext, make_draft: MakeDraft, number: int, switches: Switches
) -> None:
    """An overload of the loads opens the charger, too, where one board or one port switches both."""
    ratings = with_switches(context, switches)
    decided, _ = obeyed(context, make_draft, BmsStatus.FAULT, number, ratings=ratings)

    assert decided == pytest.approx(OTHERWISE.get((number, switches), CUTS[number]))


def test_the_table_above_knows_every_cut() -> None:
    """An event that is given a cut later has to be entered here with its document."""
    assert {number for number, kind in EVENT_KINDS.items() if kind.stops} == set(CUTS)
    assert {(number, switches) for number, kind in EVENT_KINDS.items() for switches in kind.stops_both_on} == set(
        OTHERWISE
    )
    assert {n for n, kind in EVENT_KINDS.items() if kind.severity is Severity.FAULT and not kind.stops} == set(
        ANNOUNCING
    )


def test_a_fault_of_unknown_cause_stops_charging_only(context: MakeContext, make_draft: MakeDraft) -> None:
    """The status comes at once, its event perhaps seconds later; meanwhile the lights stay on."""
    decided, details = obeyed(context, make_draft, BmsStatus.FAULT)

    assert decided == pytest.approx(NO_CHARGE)
    assert set(details) == {"unknown_fault"}


@pytest.mark.parametrize("events", [(), (0x05,), (0x31,), (0x0B,)])
def test_a_fault_that_is_newer_than_the_events_stops_charging(
    context: MakeContext, make_draft: MakeDraft, events: tuple[int, ...]
) -> None:
    """What is open need not be its cause: it keeps its own direction, and charging stops besides."""
    draft, plain = make_draft(), make_draft()
    obey_bms(
        draft,
        context(
            pack={"status": BmsStatus.FAULT}, open_events=events, cause_unread=True, ratings=with_switches(context)
        ),
    )
    obey_bms(plain, context(pack={"status": BmsStatus.FAULT}, open_events=events, ratings=with_switches(context)))

    assert draft[Quantity.CCL] == 0.0
    assert draft[Quantity.DCL] == plain[Quantity.DCL]
    assert "unknown_fault" in {reason.detail for reason in draft.reasons[3:]}


@pytest.mark.parametrize("number", [*ANNOUNCING, 0x20])
def test_a_fault_that_cuts_nothing_known_is_named(context: MakeContext, make_draft: MakeDraft, number: int) -> None:
    """A stuck switch or an unlisted number explains the status, and the user reads it instead of "unknown"."""
    decided, details = obeyed(context, make_draft, BmsStatus.FAULT, number)

    assert decided == pytest.approx(NO_CHARGE)
    assert set(details) == {kind_of(number).key}


@pytest.mark.parametrize("number", [*ANNOUNCING, 0x20, 0x38, 0x39, 0x40, 0x61, 0x63, 0xFE])
@pytest.mark.parametrize("status", [status for status in BmsStatus if status is not BmsStatus.FAULT])
def test_what_cuts_nothing_caps_nothing(
    context: MakeContext, make_draft: MakeDraft, number: int, status: BmsStatus
) -> None:
    """Without the status of a fault, an event that cuts nothing changes nothing."""
    assert obeyed(context, make_draft, status, number) == (UNTOUCHED, [])


def test_a_warning_explains_the_status(context: MakeContext, make_draft: MakeDraft) -> None:
    """Whether a warning shows as 0x9B is not documented: a discharged battery may still be charged."""
    assert obeyed(context, make_draft, BmsStatus.FAULT, 0x31)[0] == NO_DISCHARGE


def test_causes_add_up(context: MakeContext, make_draft: MakeDraft) -> None:
    """Several faults at once cap each what they cut, and the first of a direction is the reason."""
    decided, details = obeyed(context, make_draft, BmsStatus.FAULT, 0x31, 0x03, 0x06)

    assert decided == pytest.approx(NOTHING)
    assert details == [EVENT_KINDS[0x31].key, EVENT_KINDS[0x03].key, EVENT_KINDS[0x03].key]


def test_what_is_lower_already_stays(context: MakeContext, make_draft: MakeDraft) -> None:
    """A fault raises nothing: a CVL below the resting voltage keeps its own reason."""
    draft = make_draft(cvl_v=52.0, ccl_a=0.0)
    obey_bms(draft, context(open_events=(0x03,)))

    assert limits_of(draft) == (52.0, 0.0, 100.0)
    assert len(draft.reasons) == 3


@given(st.sampled_from(BmsStatus), st.lists(st.integers(0, 255) | st.sampled_from(sorted(EVENT_KINDS)), max_size=5))
def test_only_a_cause_with_a_direction_caps_it(
    context: MakeContext, make_draft: MakeDraft, status: BmsStatus, events: list[int]
) -> None:
    """DCL is 0 exactly when an open event cuts the load; no status and no unknown number does it."""
    (cvl_v, ccl_a, dcl_a), _ = obeyed(context, make_draft, status, *events)
    stops = Stops.NOTHING
    for number in events:
        stops |= kind_of(number).stops_with(Switches.APART)

    assert (dcl_a == 0.0) == (Stops.DISCHARGE in stops)
    assert (ccl_a == 0.0) == (Stops.CHARGE in stops or (status is BmsStatus.FAULT and not stops))
    assert (cvl_v < 58.4) == (ccl_a == 0.0)


def test_end_of_a_fault_ends_its_cap(make_engine: Callable[..., Engine]) -> None:
    """Through the engine: the cap comes with the sample, and what it took comes back by the ramp."""
    engine = make_engine()
    assert engine.feed(open_events=(0x05,)).dcl_a == 0.0
    after = engine.feed()
    assert 0.0 < after.dcl_a < 1.0
    assert engine.last_for(31.0).dcl_a == 108.0


def test_stop_by_hand_and_fault_keep_their_directions(make_engine: Callable[..., Engine]) -> None:
    """A charge stop by hand and a discharge fault together stop both, each with its own reason."""
    limits = make_engine(settings_before(inhibited=Inhibited(charge=True))).feed(open_events=(0x31,))

    assert (limits.ccl_a, limits.dcl_a) == (0.0, 0.0)
    assert limits.binding(Quantity.CCL).code is LimitCode.MANUAL
    assert limits.binding(Quantity.DCL).code in (LimitCode.BMS_FAULT, LimitCode.EMPTY)


@pytest.fixture(scope="session")
def context_with(make_snapshot: Callable[..., Snapshot], make_ratings: Callable[..., Ratings]) -> MakeContext:
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


def test_fresh_data_changes_nothing(context_with: MakeContext) -> None:
    """With fresh data this stage adds no cause."""
    draft = draft_of()
    apply_freshness(draft, context_with(LimitSettings()), seen(Freshness.FRESH), 100.1, fresh_limits(80.0))

    assert values(draft) == (57.0, 50.0, 100.0)
    assert len(draft.reasons) == 3


@pytest.mark.parametrize("state", [Freshness.HOLD, Freshness.SILENT, Freshness.STARTING])
def test_old_data_stops_charging(context_with: MakeContext, state: Freshness) -> None:
    """Old data: no charge current, CVL at the resting voltage, discharge as it was, each with its age and limit."""
    draft = draft_of()
    apply_freshness(draft, context_with(LimitSettings()), seen(state), 104.2, fresh_limits(80.0))

    assert values(draft) == pytest.approx((53.6, 0.0, 80.0))
    for reason in draft.reasons[3:]:
        assert (reason.code, reason.threshold, reason.detail) == (LimitCode.STALE, 3.0, state)
        assert reason.value == pytest.approx(4.2)


def test_frozen_data_stops_charging_for_its_own_reason(context_with: MakeContext) -> None:
    """Samples come, but nothing moves: the same limits, and words that say so."""
    draft = draft_of()
    memory = replace(seen(Freshness.HOLD), frozen=True, motion=Motion(changed_s=93.8, changes=20, longest_s=1.5))
    apply_freshness(draft, context_with(LimitSettings()), memory, 100.1, fresh_limits(80.0))

    assert values(draft) == pytest.approx((53.6, 0.0, 80.0))
    for reason in draft.reasons[3:]:
        assert (reason.code, reason.threshold) == (LimitCode.FROZEN, 4.5)
        assert reason.value == pytest.approx(6.3)
    assert explain(draft.reasons[-1]) == "DCL 80.0 A: the readings of the BMS have stood still for 6.3 s"


def test_old_data_never_raises_a_limit(context_with: MakeContext) -> None:
    """What another cause set lower stays lower in a hold."""
    draft = draft_of(cvl_v=52.0, ccl_a=0.0, dcl_a=5.0)
    apply_freshness(draft, context_with(LimitSettings()), seen(Freshness.HOLD), 104.2, fresh_limits(80.0))

    assert values(draft) == (52.0, 0.0, 5.0)


def test_old_data_without_a_past_stops_discharging(context_with: MakeContext) -> None:
    """Where no limits were ever decided from fresh data, "as it was" is nothing."""
    draft = draft_of()
    apply_freshness(draft, context_with(LimitSettings()), seen(Freshness.STARTING), 100.0, None)

    assert draft[Quantity.DCL] == 0.0


@pytest.mark.parametrize(
    ("inhibited", "expected"),
    [
        (Inhibited(), (57.0, 50.0, 100.0)),
        (Inhibited(charge=True), (53.6, 0.0, 100.0)),
        (Inhibited(discharge=True), (57.0, 50.0, 0.0)),
        (Inhibited(charge=True, discharge=True), (53.6, 0.0, 0.0)),
    ],
)
def test_inhibits(context_with: MakeContext, inhibited: Inhibited, expected: tuple[float, float, float]) -> None:
    """A charge stop lowers CVL too, since a GX that feeds in applies CCL to no solar charger; each stop is named."""
    draft = draft_of()
    apply_inhibits(draft, context_with(LimitSettings(inhibited=inhibited)))

    assert values(draft) == pytest.approx(expected)
    assert {reason.code for reason in draft.reasons[3:]} <= {LimitCode.MANUAL}
    assert all(reason.detail in {"charge", "discharge"} for reason in draft.reasons[3:])


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
def test_cvl_is_clamped(context_with: MakeContext, cvl_v: float, expected_v: float, code: LimitCode) -> None:
    """Whatever earlier stages did, CVL is never 0, never absurd and never not a number."""
    draft = draft_of(cvl_v=cvl_v)
    final_clamp(draft, context_with(LimitSettings()))

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
    context_with: MakeContext, current_a: float, maximum_a: float | None, expected_a: float
) -> None:
    """Both currents end between 0 and the user's maximum, and within what frame 0x351 can carry."""
    settings = LimitSettings(max_charge_current_a=maximum_a, max_discharge_current_a=maximum_a)
    draft = draft_of(ccl_a=current_a, dcl_a=current_a)
    final_clamp(draft, context_with(settings))

    assert (draft[Quantity.CCL], draft[Quantity.DCL]) == (expected_a, expected_a)


def test_clamp_prefers_the_ceiling(context_with: MakeContext) -> None:
    """Where a high floor and a low ceiling cross, the clamp gives the ceiling."""
    draft = draft_of(cvl_v=60.0)
    final_clamp(draft, context_with(LimitSettings(cell_max_v=3.3, floor_cell_v=3.5)))

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

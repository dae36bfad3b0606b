from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.bms_event_kinds import EVENT_KINDS, Severity, Stops, kind_of
from tinybms_bridge.battery.limits import ChargeDefaults, LimitCode, LimitSettings, ManualInhibits, Quantity
from tinybms_bridge.battery.limits.bms_state import obey_bms
from tinybms_bridge.battery.limits.context import Context
from tinybms_bridge.battery.limits.draft import Draft
from tinybms_bridge.battery.snapshot import BmsStatus, Ratings, Switches

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
    assert all(detail == EVENT_KINDS[number].text for detail in details) or number not in CUTS


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
    assert set(details) == {"a fault of unknown cause"}


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
    assert "a fault of unknown cause" in {reason.detail for reason in draft.reasons[3:]}


@pytest.mark.parametrize("number", [*ANNOUNCING, 0x20])
def test_a_fault_that_cuts_nothing_known_is_named(context: MakeContext, make_draft: MakeDraft, number: int) -> None:
    """A stuck switch or an unlisted number explains the status, and the user reads it instead of "unknown"."""
    decided, details = obeyed(context, make_draft, BmsStatus.FAULT, number)

    assert decided == pytest.approx(NO_CHARGE)
    assert set(details) == {kind_of(number).text}


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
    assert details == [EVENT_KINDS[0x31].text, EVENT_KINDS[0x03].text, EVENT_KINDS[0x03].text]


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
    limits = make_engine(settings_before(manual=ManualInhibits(stop_charge=True))).feed(open_events=(0x31,))

    assert (limits.ccl_a, limits.dcl_a) == (0.0, 0.0)
    assert limits.binding(Quantity.CCL).code is LimitCode.MANUAL
    assert limits.binding(Quantity.DCL).code in (LimitCode.BMS_FAULT, LimitCode.EMPTY)

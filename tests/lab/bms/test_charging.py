"""The course of a charge, driven by measurements: no cells, no currents, only what the BMS sees."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_lab.bms.logic import (
    FOUND_AFTER_S,
    GONE_AFTER_S,
    PAUSE_AT_LEAST_S,
    SWITCH_ON_AFTER_S,
    ChargeControl,
    ChargePhase,
)
from tinybms_lab.bms.measurement import BmsThresholds, Measurement
from tinybms_lab.bms.records import EventId

LIMITS = BmsThresholds(
    full_v=3.6, empty_v=2.8, balance_above_v=3.4, finished_a=2.0, disbalance_v=0.015, idle_a=0.8,
    startup_s=20.0, disable_s=5.0,
)  # fmt: skip
EXTERNAL = replace(LIMITS, internal_detection=False)
AWAY = Measurement(cells_v=(3.3,) * 4, current_a=0.0, board_c=25.0)
SEEN = replace(AWAY, charger=True, offered_a=20.0)
FLOWING = replace(SEEN, current_a=20.0)
FULL = replace(FLOWING, cells_v=(3.6, 3.595, 3.6, 3.598), current_a=1.5)
HIGH = replace(FLOWING, cells_v=(3.6, 3.5, 3.5, 3.5))


class Course:
    """A charge control and the time."""

    def __init__(self, limits: BmsThresholds = LIMITS) -> None:
        self.control = ChargeControl()
        self.limits = limits
        self.now_s = 0.0

    def step(
        self, measured: Measurement, after_s: float = 0.0, *, allowed: bool = True, unbalanced: bool = False
    ) -> list[EventId]:
        self.now_s += after_s
        return self.control.step(measured, self.limits, self.now_s, allowed=allowed, unbalanced=unbalanced)

    def hold(self, measured: Measurement, seconds: float, *, allowed: bool = True) -> list[tuple[float, EventId]]:
        """Let a measurement last, look every tenth of a second, and return the events with their times since."""
        begun_s = self.now_s
        found = []
        for _ in range(round(seconds * 10)):
            found += [(round(self.now_s - begun_s, 1), e) for e in self.step(measured, allowed=allowed)]
            self.now_s += 0.1
        return found

    @property
    def on(self) -> bool:
        return self.control.switched_on(self.now_s)


@pytest.fixture
def course() -> Course:
    """No charger, internal detection."""
    return Course()


@pytest.fixture
def charging(course: Course) -> Course:
    """A charge that has begun, with current."""
    course.hold(SEEN, 1.0)
    course.step(FLOWING)
    return course


def test_a_charger_is_found_and_switched_on(course: Course) -> None:
    """0x64, then 0x62 within a second, as in the captured log."""
    events = course.hold(SEEN, 1.0)

    assert events == [
        (FOUND_AFTER_S, EventId.CHARGER_FOUND),
        (FOUND_AFTER_S + SWITCH_ON_AFTER_S, EventId.CHARGING_STARTED),
    ]
    assert course.on
    assert course.control.phase is ChargePhase.CHARGING


def test_a_glimpse_of_a_charger_is_not_enough(course: Course) -> None:
    """Current that swings about zero does not fill the event log."""
    for _ in range(20):
        assert course.step(SEEN, 0.1) == []
        assert course.step(AWAY, 0.1) == []

    assert not course.control.charger


def test_a_protection_keeps_the_charger_off(course: Course) -> None:
    """It is found, and switched on as soon as it may be."""
    assert [event for _, event in course.hold(SEEN, 60.0, allowed=False)] == [EventId.CHARGER_FOUND]
    assert not course.on

    assert [event for _, event in course.hold(SEEN, 1.0)] == [EventId.CHARGING_STARTED]


def test_a_protection_interrupts_a_charge(charging: Course) -> None:
    """The charge begins again afterwards, with its event."""
    charging.step(FLOWING, 0.1, allowed=False)
    assert charging.control.phase is ChargePhase.FOUND
    assert not charging.on

    assert [event for _, event in charging.hold(SEEN, 1.0)] == [EventId.CHARGING_STARTED]


def test_a_charger_that_never_gives_current_is_gone_after_its_time(course: Course) -> None:
    """Register 310 plus the two seconds of the detection: 22 s, as captured."""
    waiting = replace(SEEN, offered_a=0.0)
    events = {event: time_s for time_s, event in course.hold(waiting, 30.0)}

    assert events[EventId.CHARGER_GONE] - events[EventId.CHARGING_STARTED] == pytest.approx(22.0, abs=0.2)
    assert not course.control.charger


@pytest.mark.parametrize("startup_s", [5.0, 60.0])
def test_the_startup_delay_is_a_setting(startup_s: float) -> None:
    """Register 310 from 5 to 60 s."""
    course = Course(replace(LIMITS, startup_s=startup_s))
    events = {event: time_s for time_s, event in course.hold(replace(SEEN, offered_a=0.0), 70.0)}

    assert events[EventId.CHARGER_GONE] == pytest.approx(startup_s + 2.6, abs=0.3)


def test_a_charger_whose_current_ends_is_gone_after_two_seconds(charging: Course) -> None:
    """Internal detection judges by current, though the charger may still be plugged in."""
    events = charging.hold(replace(SEEN, offered_a=0.0), 3.0)

    assert events == [(GONE_AFTER_S, EventId.CHARGER_GONE)]


def test_a_spent_charger_is_not_found_again_before_it_gives_current(charging: Course) -> None:
    """Else the log would fill with 0x64, 0x62 and 0x65."""
    spent = replace(SEEN, offered_a=0.5)
    charging.hold(spent, 3.0)

    assert charging.hold(spent, 600.0) == []
    assert [event for _, event in charging.hold(SEEN, 1.0)] == [EventId.CHARGER_FOUND, EventId.CHARGING_STARTED]


def test_a_spent_charger_counts_again_when_it_was_replugged(charging: Course) -> None:
    """A charger that waits for the battery gets another chance."""
    spent = replace(SEEN, offered_a=0.0)
    charging.hold(spent, 3.0)
    charging.hold(AWAY, 0.2)

    assert [event for _, event in charging.hold(spent, 1.0)] == [EventId.CHARGER_FOUND, EventId.CHARGING_STARTED]


@pytest.mark.parametrize("disable_s", [1.0, 5.0, 60.0])
def test_the_switch_stays_on_for_a_while_after_the_charger_has_gone(charging: Course, disable_s: float) -> None:
    """Register 311."""
    charging.limits = replace(LIMITS, disable_s=disable_s)
    charging.hold(AWAY, 2.0)
    charging.step(AWAY)
    assert not charging.control.charger
    assert charging.control.due_s == pytest.approx(charging.now_s + disable_s)

    states = []
    for wait_s in (disable_s - 0.05, 0.1):
        charging.step(AWAY, wait_s)
        states.append(charging.on)

    assert states == [True, False]


def test_the_switch_may_open_at_once(charging: Course) -> None:
    """Register 311 = 0."""
    charging.limits = replace(LIMITS, disable_s=0.0)
    charging.hold(AWAY, 2.1)

    assert not charging.on


def test_a_charge_is_complete_when_all_three_conditions_hold(charging: Course) -> None:
    """0x63 once, and the charger is switched off while it stays."""
    assert charging.step(FULL, 60.0) == [EventId.CHARGING_COMPLETE]
    assert charging.control.phase is ChargePhase.COMPLETE
    assert charging.control.ended
    assert not charging.on
    assert charging.hold(replace(SEEN, cells_v=FULL.cells_v), 600.0) == []


@pytest.mark.parametrize(
    "measured",
    [
        replace(FULL, current_a=2.0),
        replace(FULL, current_a=0.0),
        replace(FULL, current_a=-1.0),
        replace(FULL, cells_v=(3.59,) * 4),
        replace(FULL, cells_v=(3.6, 3.585, 3.6, 3.6)),
    ],
    ids=["much current", "no current", "discharging", "voltage low", "out of balance"],
)
def test_a_charge_is_not_complete_while_a_condition_is_missing(charging: Course, measured: Measurement) -> None:
    """All cells at register 300, alike within 308, current below 304."""
    assert charging.step(measured, 1.0) == []
    assert not charging.control.ended


def test_a_high_cell_pauses_the_charge_until_the_cells_are_alike(charging: Course) -> None:
    """The switch opens for at least five seconds, without an event; the charger stays known."""
    resting = replace(SEEN, cells_v=(3.45, 3.4, 3.4, 3.4))
    found = []
    for measured, after_s, unbalanced in ((HIGH, 1.0, True), (resting, 30.0, True), (resting, 0.1, False)):
        assert charging.step(measured, after_s, unbalanced=unbalanced) == []
        found.append((charging.control.phase, charging.on))

    assert found == [
        (ChargePhase.BALANCING, False),
        (ChargePhase.BALANCING, False),
        (ChargePhase.CHARGING, True),
    ]


def test_a_pause_lasts_its_least_time(charging: Course) -> None:
    """The voltages fall together as soon as the current stops, which is no balance yet."""
    charging.step(HIGH, 1.0, unbalanced=True)

    phases = []
    for wait_s in (0.1, PAUSE_AT_LEAST_S - 0.2, 0.2):
        charging.step(SEEN, wait_s)
        phases.append(charging.control.phase)

    assert phases == [ChargePhase.BALANCING, ChargePhase.BALANCING, ChargePhase.CHARGING]


def test_a_high_cell_that_cannot_be_bled_does_not_pause(charging: Course) -> None:
    """Register 303 may lie above: then only the over-voltage fault is left."""
    charging.step(HIGH, 1.0, unbalanced=False)

    assert charging.control.phase is ChargePhase.CHARGING


def test_a_charger_with_too_much_voltage_ends_the_charge(charging: Course) -> None:
    """All cells above register 300 and still much current: 0x38, and no jump of the state of charge."""
    high = replace(FLOWING, cells_v=(3.61,) * 4)

    assert charging.hold(high, 3.0) == [(2.0, EventId.CHARGER_VOLTAGE_HIGH)]
    assert charging.control.phase is ChargePhase.ENDED


def test_a_short_excess_is_forgiven(charging: Course) -> None:
    """A charger that regulates is not thrown out for its first second."""
    assert charging.step(replace(FLOWING, cells_v=(3.61,) * 4), 1.0) == []
    assert charging.step(replace(FLOWING, cells_v=(3.6,) * 4), 1.9) == []
    assert charging.step(replace(FLOWING, cells_v=(3.61,) * 4), 1.0) == []


def test_a_charger_with_too_little_voltage_with_an_input(course: Course) -> None:
    """External detection: current run out below register 300 gives 0x39."""
    course.limits = EXTERNAL
    course.hold(SEEN, 1.0)
    course.step(FLOWING)

    events = course.hold(replace(SEEN, current_a=1.0), 25.0)

    assert [event for _, event in events] == [EventId.CHARGER_VOLTAGE_LOW]
    assert events[0][0] == pytest.approx(20.0, abs=0.2)
    assert course.control.phase is ChargePhase.ENDED


def test_a_charger_with_too_little_voltage_without_an_input(charging: Course) -> None:
    """Internal detection: simply 0x65 when the current has run out."""
    assert [event for _, event in charging.hold(replace(SEEN, current_a=0.0, offered_a=0.0), 60.0)] == [
        EventId.CHARGER_GONE
    ]


def test_with_an_input_the_charger_is_gone_at_once(course: Course) -> None:
    """And stays as long as the input is on, current or not."""
    course.limits = EXTERNAL
    course.hold(SEEN, 1.0)
    course.step(FLOWING)
    assert course.hold(replace(SEEN, current_a=2.5), 100.0) == []

    assert course.step(AWAY, 0.1) == [EventId.CHARGER_GONE]


@pytest.mark.parametrize("full", [True, False])
def test_an_ended_charge_ends_with_the_charger(charging: Course, full: bool) -> None:
    """0x65 two seconds after the plug was pulled; replugged, the charge begins again."""
    charging.step(FULL, 1.0) if full else charging.hold(replace(FLOWING, cells_v=(3.61,) * 4), 3.0)

    assert [event for _, event in charging.hold(AWAY, 3.0)] == [EventId.CHARGER_GONE]
    assert [event for _, event in charging.hold(SEEN, 1.0)] == [EventId.CHARGER_FOUND, EventId.CHARGING_STARTED]


def test_a_cell_at_the_empty_level_restarts_the_charge(charging: Course) -> None:
    """The only top-up of a charger that stays connected: for solar storage the main trap."""
    charging.step(FULL, 1.0)
    assert charging.step(replace(SEEN, cells_v=(2.81,) * 4, soc_percent=5.0), 3600.0) == []

    assert charging.step(replace(SEEN, cells_v=(3.0, 2.8, 3.0, 3.0)), 1.0) == [EventId.CHARGING_STARTED]


def test_the_restart_level_restarts_the_charge_where_it_is_switched_on(charging: Course) -> None:
    """Register 321 with bit 2 of 329; strictly below."""
    charging.limits = replace(LIMITS, restart_percent=80.0)
    charging.step(FULL, 1.0)

    assert charging.step(replace(SEEN, soc_percent=80.0), 1.0) == []
    assert charging.step(replace(SEEN, soc_percent=79.9), 1.0) == [EventId.CHARGING_STARTED]


def test_it_tells_when_something_is_due(course: Course) -> None:
    """So that a simulation with long steps meets the moment."""
    course.step(SEEN)
    assert course.control.due_s == FOUND_AFTER_S

    course.step(SEEN, FOUND_AFTER_S)
    assert course.control.due_s == pytest.approx(FOUND_AFTER_S + SWITCH_ON_AFTER_S)


@given(
    st.lists(
        st.tuples(
            st.floats(min_value=0.05, max_value=30.0),
            st.sampled_from([AWAY, SEEN, FLOWING, FULL, HIGH, replace(FLOWING, cells_v=(3.61,) * 4)]),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_the_events_tell_a_story_in_order(moments: Sequence[tuple[float, Measurement, bool]]) -> None:
    """A charge starts only with a charger, ends only when it has started, and each charger found goes once."""
    course = Course()
    charger = started = False
    for after_s, measured, allowed in moments:
        for event in course.step(measured, after_s, allowed=allowed, unbalanced=measured is HIGH):
            match event:
                case EventId.CHARGER_FOUND:
                    assert not charger
                    charger = True
                case EventId.CHARGER_GONE:
                    assert charger
                    charger = started = False
                case EventId.CHARGING_STARTED:
                    assert charger
                    started = True
                case _:
                    assert started
                    started = False

        assert course.control.charger is charger
        assert not (course.on and course.control.ended)
        assert not (course.on and course.control.phase in (ChargePhase.FOUND, ChargePhase.BALANCING))

"""When something is told: examples by name, and what holds in any history."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.alarms import AlarmLevel
from tinybms_bridge.config.models.notifications import Notifications
from tinybms_bridge.services.notify.rules import (
    AGAIN_S,
    MOST_SETTLE_S,
    SETTLE_S,
    AlarmTold,
    RuleStep,
    WatchedAlarm,
    is_quiet,
    step,
)

OK, WARNING, ALARM = AlarmLevel
TICK_S = 10.0
NOON = time(12)
NAME = "high_voltage"


@dataclass
class Teller:
    """Someone who looks each ten seconds, and is told."""

    settings: Notifications
    now_s: float = 1000.0
    local: time = NOON
    memory: Mapping[str, WatchedAlarm] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    """What was told, in the order of the telling: ``+alarm`` for a rise, ``-alarm`` for an end."""
    steps: list[RuleStep] = field(default_factory=list)

    def look(self, levels: Mapping[str, AlarmLevel]) -> RuleStep:
        """Look once, and let time pass."""
        found = step(self.memory, levels, self.settings, self.now_s, self.local)
        self.memory = found.memory
        self.now_s += TICK_S
        self.steps.append(found)
        self.heard += [said(each) for each in (*found.told, *found.held)]
        return found

    def last(self, level: AlarmLevel | None, seconds: float = TICK_S) -> list[str]:
        """Let one alarm be at a level, or unknown, for a time; return what is told meanwhile."""
        before = len(self.heard)
        for _ in range(round(seconds / TICK_S)):
            self.look({} if level is None else {NAME: level})
        return self.heard[before:]


def said(told: AlarmTold) -> str:
    """Return a message in short."""
    return f"{'+' if told.event == 'raised' else '-'}{told.level.name.lower()}"


def teller(**keys: Any) -> Teller:
    """Return one with rules beside the defaults."""
    return Teller(replace(Notifications(delay_s=20.0), **keys))


def test_an_alarm_is_told_once_while_it_lasts_and_once_when_it_is_over() -> None:
    """However long that is."""
    one = teller()
    assert one.last(ALARM, 20.0) == []
    assert one.last(ALARM, 7 * 86_400.0) == ["+alarm"]
    assert one.last(OK, SETTLE_S) == []
    assert one.last(OK, 86_400.0) == ["-alarm"]
    assert one.memory == {}


def test_a_rise_is_told_again_and_a_fall_is_not() -> None:
    """Warning is not all clear; the end tells the highest level that was told."""
    one = teller()
    assert one.last(WARNING, 100.0) == ["+warning"]
    assert one.last(ALARM, 100.0) == ["+alarm"]
    assert one.last(WARNING, 600.0) == []
    assert one.last(ALARM, 600.0) == ["+alarm"]
    assert one.last(OK, 600.0) == ["-alarm"]


def test_an_alarm_that_only_dips_to_a_warning_is_the_same_one() -> None:
    """A value that swings about the threshold of the alarm is told once."""
    one = teller()
    assert one.last(ALARM, 100.0) == ["+alarm"]
    assert [one.last(level, 30.0) for level in (WARNING, ALARM) * 50] == [[]] * 100


def test_what_does_not_last_is_not_told() -> None:
    """And of what was not told no end is told either."""
    one = teller()
    assert [one.last(level, 20.0) for level in (ALARM, OK) * 20] == [[]] * 40
    assert one.last(OK, 600.0) == []


def test_without_a_delay_it_is_told_at_once() -> None:
    """At the first look."""
    assert teller(delay_s=0.0).last(WARNING) == ["+warning"]


def test_a_core_that_starts_again_is_no_news() -> None:
    """However short the delay is: an upgrade on a small board takes its time."""
    one = teller(delay_s=0.0)
    for _ in range(3):
        assert one.look({"core_unreachable": ALARM}).told == ()
    (told,) = one.look({"core_unreachable": ALARM}).told
    assert told == AlarmTold("raised", "core_unreachable", ALARM, 1000.0)


def test_the_time_is_that_of_the_beginning() -> None:
    """Of the level, and of the end, not of the message."""
    one = teller()
    one.last(ALARM, 50.0)
    one.last(OK, 100.0)
    raised, cleared = (each for found in one.steps for each in found.told)
    assert (raised.since_s, cleared.since_s) == (1000.0, 1050.0)


def test_least_level_alarm_leaves_warnings_out() -> None:
    """The end is told when all is well: a warning that is left is not."""
    one = teller(level="alarm")
    assert one.last(WARNING, 600.0) == []
    assert one.last(ALARM, 100.0) == ["+alarm"]
    assert one.last(WARNING, 3600.0) == []
    assert one.last(OK, 600.0) == ["-alarm"]


def test_without_all_clear_only_beginnings_are_told() -> None:
    """What comes again after it was over is new all the same."""
    one = teller(all_clear=False)
    assert [one.last(level, 600.0) for level in (ALARM, OK, ALARM)] == [["+alarm"], [], ["+alarm"]]


def test_what_comes_back_at_once_is_the_same_one() -> None:
    """Its end was not told, so its return is no news."""
    one = teller()
    assert one.last(ALARM, 100.0) == ["+alarm"]
    assert [one.last(level, SETTLE_S - TICK_S) for level in (OK, ALARM) * 100] == [[]] * 200


@pytest.mark.parametrize("away_s", [90.0, 200.0, 600.0, 1800.0])
def test_an_alarm_that_flaps_for_a_day_sends_a_handful(away_s: float) -> None:
    """Each time that it is back soon, its end has to last twice as long before it is told."""
    one = teller()
    for _ in range(round(86_400.0 / (away_s + 60.0))):
        one.last(ALARM, 60.0)
        one.last(OK, away_s)
    assert 2 <= len(one.heard) <= 13
    assert one.last(OK, MOST_SETTLE_S + TICK_S) == ["-alarm"]


def test_an_alarm_of_each_night_is_told_each_night() -> None:
    """After some hours a return is no flapping: the end is told as soon as the first time."""
    one = teller()
    for _ in range(10):
        assert one.last(WARNING, 3600.0) == ["+warning"]
        assert one.last(OK, SETTLE_S + TICK_S) == ["-warning"]
        assert one.last(OK, AGAIN_S) == []


def test_what_is_not_known_is_not_over() -> None:
    """While the core is not heard an alarm that was told stays told, and nothing of it is told again."""
    one = teller()
    assert one.last(ALARM, 100.0) == ["+alarm"]
    assert one.last(None, 86_400.0) == []
    assert one.last(ALARM, 600.0) == []
    assert one.last(None, 600.0) == []
    assert one.last(OK, SETTLE_S) == []
    assert one.last(OK) == ["-alarm"]


def test_an_end_counts_only_while_it_is_known() -> None:
    """Half of it before the core was lost says nothing."""
    one = teller()
    one.last(ALARM, 100.0)
    assert one.last(OK, SETTLE_S - TICK_S) == []
    assert one.last(None, 3600.0) == []
    assert one.last(OK, SETTLE_S) == []


@pytest.mark.parametrize(
    ("keys", "told"), [({"never": [NAME]}, False), ({"only": ["low_soc"]}, False), ({"only": [NAME]}, True)]
)
def test_names_are_chosen(keys: dict[str, Any], told: bool) -> None:
    """By a list of those that are told, or of those that are not."""
    assert bool(teller(**keys).last(ALARM, 100.0)) is told


def test_what_is_not_wanted_any_more_ends_without_a_word() -> None:
    """The rules have changed: nobody wants to hear of its end."""
    one = teller()
    one.last(ALARM, 100.0)
    one.settings = replace(one.settings, never=[NAME])
    assert one.last(OK, 600.0) == []
    assert one.memory == {}


@pytest.mark.parametrize(
    ("begin", "end", "quiet", "loud"),
    [
        ("22:00", "07:00", ["22:00", "23:59", "00:00", "06:59"], ["07:00", "12:00", "21:59"]),
        ("12:00", "14:30", ["12:00", "14:29"], ["11:59", "14:30", "00:00"]),
        ("00:00", "23:59", ["00:00", "12:00"], ["23:59"]),
        ("", "", [], ["00:00", "12:00"]),
    ],
)
def test_quiet_hours_may_cross_midnight(begin: str, end: str, quiet: list[str], loud: list[str]) -> None:
    """The beginning belongs to them, the end does not."""
    settings = Notifications(quiet_from=begin, quiet_to=end)
    assert [is_quiet(settings, time.fromisoformat(each)) for each in quiet] == [True] * len(quiet)
    assert [is_quiet(settings, time.fromisoformat(each)) for each in loud] == [False] * len(loud)


QUIET: dict[str, Any] = {"quiet_from": "22:00", "quiet_to": "07:00"}
NIGHT, MORNING = time(3), time(7)


def test_an_alarm_is_told_in_quiet_hours_and_a_warning_afterwards() -> None:
    """If it still lasts then, with the time of its beginning."""
    one = teller(**QUIET)
    one.local = NIGHT
    assert one.last(WARNING, 3600.0) == []
    one.local = MORNING
    (told,) = one.look({NAME: WARNING}).held
    assert told == AlarmTold("raised", NAME, WARNING, 1000.0)
    assert one.last(WARNING, 3600.0) == []
    other = teller(**QUIET)
    other.local = NIGHT
    assert other.last(ALARM, 3600.0) == ["+alarm"]
    assert other.last(OK, 3600.0) == ["-alarm"]


def test_in_quiet_hours_nothing_may_be_told_at_all() -> None:
    """Also no alarm, and no end of what was told before."""
    one = teller(**QUIET, quiet_level="none")
    assert one.last(WARNING, 100.0) == ["+warning"]
    one.local = NIGHT
    assert one.last(ALARM, 3600.0) == []
    assert one.last(OK, 3600.0) == []
    one.local = MORNING
    found = one.look({NAME: OK})
    assert (found.told, [said(each) for each in found.held]) == ((), ["-warning"])


def test_what_came_and_went_in_quiet_hours_is_not_told() -> None:
    """Neither its beginning nor its end."""
    one = teller(**QUIET)
    one.local = NIGHT
    one.last(WARNING, 3600.0)
    one.last(OK, 3600.0)
    one.local = MORNING
    assert one.last(OK, 3600.0) == []


def test_what_was_held_back_is_told_together() -> None:
    """One message for all of it; what rises then by itself is one of its own."""
    one = teller(**QUIET)
    one.local = NIGHT
    for _ in range(10):
        one.look({"low_soc": WARNING, "communication": WARNING, NAME: OK})
    one.local = time(6, 59)
    for _ in range(2):
        one.look({"low_soc": WARNING, "communication": WARNING, NAME: WARNING})
    one.local = MORNING
    found = one.look({"low_soc": WARNING, "communication": WARNING, NAME: WARNING})
    assert [each.name for each in found.held] == ["communication", "low_soc"]
    assert [each.name for each in found.told] == [NAME]


# what holds in any history

histories = st.lists(
    st.tuples(st.sampled_from([OK, WARNING, ALARM, None]), st.integers(1, 30), st.sampled_from([NOON, NIGHT])),
    max_size=40,
)
rules = st.fixed_dictionaries(
    {},
    optional={
        "level": st.sampled_from(["warning", "alarm"]),
        "delay_s": st.sampled_from([0.0, 10.0, 20.0, 100.0]),
        "all_clear": st.booleans(),
        "quiet_level": st.sampled_from(["none", "alarm"]),
        "quiet_from": st.just("22:00"),
    },
)


def play(one: Teller, history: Iterable[tuple[AlarmLevel | None, int, time]], after: Callable[[Teller], None]) -> None:
    """Let a history happen; ``after`` each look something else may."""
    for level, ticks, local in history:
        one.local = local
        for _ in range(ticks):
            one.look({} if level is None else {NAME: level})
            after(one)


def check(one: Teller, all_clear: bool) -> None:
    """Fail where something was told twice, or an end of what was not told."""
    believed, beginnings = OK, 0
    for found in one.steps:
        for told in (*found.told, *found.held):
            if told.event == "raised":
                assert told.level > OK
                beginnings += 1
                believed = max(believed, told.level)
            else:
                assert all_clear
                assert told.level == believed > OK
                believed = OK
    if all_clear:
        told_now = one.memory.get(NAME, WatchedAlarm()).told
        assert told_now == believed


def keep_on(_one: Teller) -> None:
    """Let nothing happen."""


@given(histories, rules)
def test_every_end_follows_a_beginning(
    history: list[tuple[AlarmLevel | None, int, time]], keys: dict[str, Any]
) -> None:
    """Exactly one end for what was told, none for what was not, and the memory is what people believe."""
    one = teller(quiet_to="07:00" if "quiet_from" in keys else "", **keys)
    play(one, history, keep_on)
    check(one, one.settings.all_clear)


@given(histories, rules)
def test_no_beginning_is_told_twice(history: list[tuple[AlarmLevel | None, int, time]], keys: dict[str, Any]) -> None:
    """Between two of one level it was known to be lower for a minute, or its end was told."""
    one = teller(quiet_to="07:00" if "quiet_from" in keys else "", **keys)
    lower_ticks = {WARNING: 0, ALARM: 0}
    longest = dict(lower_ticks)
    told: set[AlarmLevel] = set()
    for level, ticks, local in history:
        one.local = local
        for _ in range(ticks):
            for each, ticks_before in lower_ticks.items():
                lower_ticks[each] = ticks_before + 1 if level is not None and level < each else 0
                longest[each] = max(longest[each], lower_ticks[each])
            found = one.look({} if level is None else {NAME: level})
            for each_told in (*found.told, *found.held):
                if each_told.event == "raised":
                    if each_told.level in told:
                        assert longest[each_told.level] * TICK_S > SETTLE_S
                    told.add(each_told.level)
                    longest[each_told.level] = 0


@given(histories, rules, st.sampled_from([WARNING, ALARM]))
def test_what_lasts_is_told(
    history: list[tuple[AlarmLevel | None, int, time]], keys: dict[str, Any], level: AlarmLevel
) -> None:
    """Whatever was before, and however the clock was set: once the delay has passed outside quiet hours."""
    one = teller(quiet_to="07:00" if "quiet_from" in keys else "", **keys)
    play(one, history, keep_on)
    one.local = NOON
    one.last(level, one.settings.delay_s + TICK_S)
    wanted = level is ALARM or one.settings.level == "warning"
    assert (one.memory[NAME].told >= level) or not wanted
    one.last(OK, MOST_SETTLE_S + TICK_S)
    assert one.memory.get(NAME, WatchedAlarm()).told is OK


@given(histories, st.lists(st.times(), min_size=1, max_size=50))
def test_a_clock_that_jumps_changes_nothing_without_quiet_hours(
    history: list[tuple[AlarmLevel | None, int, time]], times: list[time]
) -> None:
    """Every interval is monotonic."""
    calm, jumping = teller(), teller()
    play(calm, history, keep_on)
    play(jumping, [(level, ticks, times[at % len(times)]) for at, (level, ticks, _) in enumerate(history)], keep_on)
    assert jumping.heard == calm.heard


@given(histories, rules, st.sets(st.integers(0, 400)))
def test_a_restart_tells_nothing_again(
    history: list[tuple[AlarmLevel | None, int, time]], keys: dict[str, Any], restarts: set[int]
) -> None:
    """Of what is saved the ends are told once, and no beginning twice."""
    one = teller(quiet_to="07:00" if "quiet_from" in keys else "", **keys)

    def restart(of: Teller) -> None:
        if len(of.steps) in restarts:
            of.memory = {
                name: WatchedAlarm(told=each.told, usual=each.usual, settle_s=each.settle_s)
                for name, each in of.memory.items()
                if each.told
            }

    play(one, history, restart)
    check(one, one.settings.all_clear)
    if keys.get("level") == "alarm":
        assert "+warning" not in one.heard


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=60))
def test_no_flapping_makes_a_storm(periods: list[tuple[int, int]]) -> None:
    """Beside the first ones at most two messages come in an hour, however it flaps."""
    one = teller(delay_s=0.0)
    begun_s = one.now_s
    for on, off in periods:
        one.last(ALARM, on * TICK_S)
        one.last(OK, off * TICK_S)
    hours = (one.now_s - begun_s) / 3600.0
    assert len(one.heard) <= 14 + 2 * hours

"""What the services are given: the battery at one moment."""

from collections.abc import Callable
from dataclasses import replace

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.notices import NoticeName, Notices
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.services.ports import Hearing, Moment
from tinybms_lab.testing.fake_clock import FakeClock


async def test_a_moment_shows_battery_and_packs_at_the_same_time(
    make_state: Callable[..., BatteryState], clock: FakeClock
) -> None:
    """Both grow old together, without a word of the core: a state that is asked for again is shown as it is then."""
    state = replace(make_state(), made_s=clock.monotonic())
    young = Moment.of(state, clock)
    assert (young.view.freshness, young.packs["main"].freshness) == (Freshness.FRESH, Freshness.FRESH)
    assert young.packs["main"].measured is young.view.measured is state.snapshot
    await clock.advance(3.5)
    old = Moment.of(state, clock)
    assert (old.view.freshness, old.packs["main"].freshness) == (Freshness.SILENT, Freshness.SILENT)
    assert (old.view.limits, old.view.measured, old.packs["main"].measured) == (None, None, None)
    assert old.packs["main"].age_s == old.view.age_s
    assert (old.battery is state, (old.at - young.at).total_seconds()) == (True, 3.5)


def test_alarms_of_a_core_that_is_not_heard_are_not_in_force(
    make_state: Callable[..., BatteryState], clock: FakeClock
) -> None:
    """They are the last that was known; in force is that nothing is known."""
    alarms = Alarms({AlarmName.HIGH_VOLTAGE: AlarmLevel.WARNING, AlarmName.GENERAL: AlarmLevel.OK})
    notices = Notices({NoticeName.LOW_SOC: AlarmLevel.WARNING})
    state = replace(make_state(), alarms=alarms, notices=notices)
    known = {AlarmName.HIGH_VOLTAGE: AlarmLevel.WARNING, NoticeName.LOW_SOC: AlarmLevel.WARNING}
    assert Moment.of(state, clock).active() == known
    away = Moment.of(state, clock, Hearing(connected=False, since_s=1.0))
    assert away.active() == {NoticeName.CORE_UNREACHABLE: AlarmLevel.ALARM}
    assert away.last_active() == known

"""Alarms with their beginnings and acknowledgements, while no server listens."""

from datetime import UTC, datetime
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from tinybms_bridge.battery.alarms import AlarmLevel, AlarmName, Alarms
from tinybms_bridge.battery.notices import NoticeName, Notices
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.battery.view import View
from tinybms_bridge.link.bus import Bus
from tinybms_bridge.link.events import AlarmsChanged, NoticesChanged
from tinybms_bridge.services.ports import Moment
from tinybms_bridge.services.web.live.alarms import AlarmTracker
from tinybms_lab.testing.fake_clock import FakeClock

WALL = datetime(2026, 1, 1, tzinfo=UTC)

HIGH, LOW = AlarmName.HIGH_VOLTAGE, AlarmName.LOW_VOLTAGE


def alarms(**levels: int) -> Alarms:
    """Return alarms by name."""
    return Alarms(MappingProxyType({AlarmName(name): AlarmLevel(level) for name, level in levels.items()}))


def with_alarms(now: Alarms, notices: Notices | None = None) -> Moment:
    """Return a moment with these alarms."""
    return Moment(BatteryState(alarms=now, notices=notices or Notices()), View(), WALL)


async def test_beginning_as_the_bus_told(clock: FakeClock) -> None:
    """An alarm begins when it was published, however late somebody looks."""
    bus = Bus(clock.monotonic, clock.wall)
    tracker = AlarmTracker(bus)
    bus.publish(AlarmsChanged(Alarms(), alarms(high_voltage=1)), "test")
    began = clock.wall()
    await clock.advance(600.0)
    (found,) = tracker.active(with_alarms(alarms(high_voltage=1)), clock.wall())
    assert (found.name, found.kind, found.since) == ("high_voltage", "alarm", began)


async def test_alarms_from_before_the_web_server(clock: FakeClock) -> None:
    """What was active before the tracker was made is known with the time of the last change."""
    bus = Bus(clock.monotonic, clock.wall)
    bus.publish(AlarmsChanged(Alarms(), alarms(low_voltage=2)), "test")
    began = clock.wall()
    await clock.advance(60.0)
    (found,) = AlarmTracker(bus).active(with_alarms(alarms(low_voltage=2)), clock.wall())
    assert found.since == began


async def test_notices_are_listed_after_worse_alarms(clock: FakeClock) -> None:
    """The worst comes first, and notices are told apart."""
    bus = Bus(clock.monotonic, clock.wall)
    tracker = AlarmTracker(bus)
    notices = Notices(MappingProxyType({NoticeName.LOW_SOC: AlarmLevel.WARNING}))
    bus.publish(NoticesChanged(Notices(), notices), "test")
    await clock.advance(1.0)
    bus.publish(AlarmsChanged(Alarms(), alarms(high_voltage=2)), "test")
    found = tracker.active(with_alarms(alarms(high_voltage=2), notices), clock.wall())
    assert [(each.name, each.kind) for each in found] == [("high_voltage", "alarm"), ("low_soc", "notice")]


async def test_acknowledgement_until_it_comes_again(clock: FakeClock) -> None:
    """It holds while the alarm lasts and when it eases, and is gone when it comes back."""
    bus = Bus(clock.monotonic, clock.wall)
    tracker = AlarmTracker(bus)

    def now(levels: Alarms) -> list[str | None]:
        return [each.acknowledged_by for each in tracker.active(with_alarms(levels), clock.wall())]

    assert now(alarms(high_voltage=2)) == [None]
    assert tracker.acknowledge("high_voltage", "ann")
    assert now(alarms(high_voltage=2)) == ["ann"]
    assert now(alarms(high_voltage=1)) == ["ann"]
    assert now(alarms(high_voltage=2)) == [None]
    assert now(alarms()) == []
    assert not tracker.acknowledge("high_voltage", "ann")


@given(st.lists(st.dictionaries(st.sampled_from([HIGH, LOW]), st.sampled_from(AlarmLevel)), max_size=20))
def test_list_is_what_is_active(steps: list[dict[AlarmName, AlarmLevel]]) -> None:
    """Whatever happened before, exactly the active alarms are listed, each with its level."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    bus = Bus(lambda: 0.0, lambda: moment)
    tracker = AlarmTracker(bus)
    before = Alarms()
    for levels in steps:
        after = Alarms(MappingProxyType(levels))
        bus.publish(AlarmsChanged(before, after), "test")
        before = after
        listed = {each.name: each.level for each in tracker.active(with_alarms(after), moment)}
        assert listed == {name.value: level for name, level in after.active().items()}

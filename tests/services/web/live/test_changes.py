"""The recent changes."""

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.limits import ChargeState
from tinybms_bridge.bus import Bus
from tinybms_bridge.events import ChargeStateChanged, FreshnessChanged, GxChanged, LinkChanged, PartStateChanged
from tinybms_bridge.hal.clock import FakeClock
from tinybms_bridge.services.web.live.changes import Changes


async def test_kinds_and_times(clock: FakeClock) -> None:
    """Each kind is told with the time at which it was published; other events are not."""
    bus = Bus(clock.monotonic, clock.wall)
    changes = Changes(bus)
    began = clock.wall()
    bus.publish(FreshnessChanged(Freshness.STARTING, Freshness.FRESH), "test")
    bus.publish(LinkChanged(False, "no answer"), "test")
    bus.publish(LinkChanged(True, ""), "test")
    bus.publish(GxChanged("lost", 12.0), "test")
    bus.publish(ChargeStateChanged(ChargeState.BULK, ChargeState.FLOAT), "test")
    bus.publish(PartStateChanged("x", "running"), "test")
    await clock.advance(5.0)
    found = changes.recent()
    assert [(each.kind, each.value, each.detail) for each in found] == [
        ("freshness", "FRESH", ""),
        ("link", "down", "no answer"),
        ("link", "up", ""),
        ("gx", "lost", ""),
        ("charge_state", "FLOAT", ""),
    ]
    assert {each.at for each in found} == {began}


def test_only_the_last_ones_are_kept(clock: FakeClock) -> None:
    """Memory is bounded, and looking twice changes nothing."""
    bus = Bus(clock.monotonic, clock.wall)
    changes = Changes(bus, keep=3)
    for number in range(1000):
        bus.publish(LinkChanged(False, str(number)), "test")
    assert [each.detail for each in changes.recent()] == ["997", "998", "999"]
    assert changes.recent() == changes.recent()

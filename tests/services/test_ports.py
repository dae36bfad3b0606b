"""What the services are given: the battery at one moment."""

from collections.abc import Callable
from dataclasses import replace

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.state import BatteryState
from tinybms_bridge.services.ports import Moment
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

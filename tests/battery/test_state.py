"""The state of the battery: what it says before anything is known, and what may be shown of an old one."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tinybms_bridge.battery.freshness import Freshness
from tinybms_bridge.battery.state import BatteryState


def test_nothing_is_known_at_the_start() -> None:
    """Who asks for what is not there yet gets no invented value."""
    state = BatteryState()
    assert not state.may_send
    assert (state.identity, state.view(5.0).measured, state.view(5.0).limits) == (None, None, None)
    with pytest.raises(ValueError, match="nothing is known"):
        _ = state.snapshot
    with pytest.raises(ValueError, match="no limits"):
        _ = state.limits


def test_the_only_pack_is_told_with_what_was_decided_of_the_battery(make_state: Callable[..., BatteryState]) -> None:
    """Who asks for a pack need not know how many there are."""
    state = make_state()
    pack = state.pack("main")
    assert (pack.limits, pack.freshness, pack.energy) == (state.decided, state.freshness, state.energy)
    assert state.pack("other").latest is None


@pytest.mark.parametrize(("freshness", "sends"), [("FRESH", True), ("HOLD", True), ("SILENT", False)])
def test_what_may_be_sent(make_state: Callable[..., BatteryState], freshness: str, sends: bool) -> None:
    """In HOLD there are frames, in SILENT none."""
    assert make_state(freshness=Freshness(freshness)).may_send is sends


def test_a_state_that_nobody_renews_is_not_shown_as_live(make_state: Callable[..., BatteryState]) -> None:
    """A core that stands sends nothing, whatever its last state says; what it was stays to be seen with its age."""
    state = replace(make_state(), made_s=10.0)
    live = state.view(12.9)
    assert (live.freshness, live.measured, live.limits) == (Freshness.FRESH, state.snapshot, state.limits)
    old = state.view(13.1)
    assert (old.freshness, old.measured, old.limits) == (Freshness.SILENT, None, None)
    assert old.last is not None
    assert (old.last.snapshot, old.last.limits) == (state.snapshot, state.limits)
    assert old.age_s == pytest.approx(3.1)


def test_packs_are_as_live_as_the_battery(make_state: Callable[..., BatteryState]) -> None:
    """Each pack by its name with its age; limits are of the battery, and no pack of a core that stands is live."""
    state = replace(make_state(), made_s=10.0)
    live = state.pack_views(12.9)["main"]
    assert (live.freshness, live.measured, live.limits) == (Freshness.FRESH, state.snapshot, None)
    assert live.age_s == state.view(12.9).age_s
    old = state.pack_views(13.1)["main"]
    assert (old.freshness, old.measured, old.limits) == (Freshness.SILENT, None, None)
    assert old.last is not None
    assert (old.last.snapshot, old.last.limits) == (state.snapshot, None)
    assert BatteryState().pack_views(1.0) == {}

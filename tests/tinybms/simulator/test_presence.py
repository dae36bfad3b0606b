from collections.abc import Callable

import pytest

from tinybms_bridge.hal.clock import FakeClock
from tinybms_bridge.tinybms.simulator.presence import RESTART_S, SLEEP_AFTER_S, Presence

PassTime = Callable[[float], None]


def test_a_device_just_started_hears(clock: FakeClock) -> None:
    """It is awake for its first ten seconds."""
    assert Presence(clock).hear()


def test_after_ten_silent_seconds_it_swallows_exactly_one_frame(clock: FakeClock, pass_time: PassTime) -> None:
    """The first frame wakes, the second is answered."""
    presence = Presence(clock)
    pass_time(SLEEP_AFTER_S)

    assert presence.asleep
    assert [presence.hear() for _ in range(3)] == [False, True, True]
    assert not presence.asleep


@pytest.mark.parametrize("stir", [True, False], ids=["activity", "traffic"])
def test_activity_and_traffic_keep_it_awake(clock: FakeClock, pass_time: PassTime, stir: bool) -> None:
    """Ten seconds count from the last of either."""
    presence = Presence(clock)
    for _ in range(5):
        pass_time(9.0)
        if stir:
            presence.stir(clock.monotonic())
        else:
            assert presence.hear()

    assert not presence.asleep


def test_old_activity_does_not_put_it_to_sleep_earlier(clock: FakeClock, pass_time: PassTime) -> None:
    """Notes may come late and out of order."""
    presence = Presence(clock)
    pass_time(9.0)
    presence.hear()
    presence.stir(clock.monotonic() - 8.0)
    pass_time(5.0)

    assert not presence.asleep


def test_a_device_that_may_not_sleep_does_not(clock: FakeClock, pass_time: PassTime) -> None:
    """The option for tests that are about something else."""
    presence = Presence(clock, asleep_allowed=False)
    pass_time(3600.0)

    assert presence.hear()


def test_a_restart_is_an_outage(clock: FakeClock, pass_time: PassTime) -> None:
    """Frames are lost until it is over, and it ends awake."""
    presence = Presence(clock)
    ends_s = presence.restart()
    assert ends_s == clock.monotonic() + RESTART_S

    seen = []
    for wait_s in (0.0, RESTART_S - 0.01, 0.02):
        pass_time(wait_s)
        seen.append((presence.restarting, presence.hear()))

    assert seen == [(True, False), (True, False), (False, True)]


def test_it_falls_asleep_ten_seconds_after_a_restart(clock: FakeClock, pass_time: PassTime) -> None:
    """The restart itself is activity."""
    presence = Presence(clock)
    presence.restart()

    seen = []
    for wait_s in (RESTART_S + SLEEP_AFTER_S - 0.1, 0.2):
        pass_time(wait_s)
        seen.append(presence.asleep)

    assert seen == [False, True]

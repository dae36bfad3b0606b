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


def test_an_adapter_without_power_wakes_nobody(clock: FakeClock, pass_time: PassTime) -> None:
    """Asleep, its 5 V are off; activity of the battery brings them back."""
    presence = Presence(clock, wakes_by_uart=False)
    pass_time(SLEEP_AFTER_S)
    heard = [presence.hear(), presence.hear()]
    presence.stir(clock.monotonic())

    assert [*heard, presence.hear()] == [False, False, True]


def test_it_is_deaf_while_busy(clock: FakeClock, pass_time: PassTime) -> None:
    """As after a write; the frames count as traffic all the same."""
    presence = Presence(clock)
    presence.be_busy(0.5)

    seen = []
    for wait_s in (0.0, 0.49, 0.02):
        pass_time(wait_s)
        seen.append((presence.silent, presence.hear()))

    assert seen == [(True, False), (True, False), (False, True)]


@pytest.mark.parametrize("why", ["asleep", "restarting", "busy"])
def test_it_is_silent_for_three_reasons(clock: FakeClock, pass_time: PassTime, why: str) -> None:
    """Then it sends no text either."""
    presence = Presence(clock)
    seen = [presence.silent]
    if why == "asleep":
        pass_time(SLEEP_AFTER_S)
    elif why == "restarting":
        presence.restart()
    else:
        presence.be_busy(1.0)

    assert [*seen, presence.silent] == [False, True]


def test_sleep_can_be_asked_of_a_time(clock: FakeClock) -> None:
    """As far as is known then."""
    presence = Presence(clock)
    now_s = clock.monotonic()

    assert not presence.asleep_at(now_s + SLEEP_AFTER_S - 0.1)
    assert presence.asleep_at(now_s + SLEEP_AFTER_S)


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

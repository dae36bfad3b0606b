"""The watchdog of a machine, an Intel 6300ESB as QEMU emulates it: fed it does nothing, without it fires.

QEMU tells that it would restart the machine instead of doing it, or no further scenario could run.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tinybms_bridge.hal.hardware_watchdog import HardwareSettings, HardwareWatchdog

TIMEOUT_S = 2
PATIENCE_S = 120.0
SETTINGS = HardwareSettings("/dev/watchdog0", TIMEOUT_S)


@pytest.fixture
def fired(monitor: Any) -> Iterator[Callable[[], bool]]:
    """Return what tells whether the watchdog has fired since it was asked last."""
    subprocess.run(["modprobe", "i6300esb"], check=True)
    wait_for(Path(SETTINGS.device).exists)
    monitor.run({"execute": "watchdog-set-action", "arguments": {"action": "none"}})

    def look() -> bool:
        monitor.run({"execute": "query-status"})  # what happened before stands before its answer
        happened = "WATCHDOG" in monitor.events
        monitor.events.clear()
        return happened

    look()
    yield look
    subprocess.run(["modprobe", "-r", "i6300esb"], check=True)


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.05)


def has_fed(watchdog: HardwareWatchdog, times: int) -> bool:
    """Tell whether it has fed so often."""
    return watchdog.state.feed_count >= times


def fed_in_time() -> bool:
    """Feed for longer than the timeout, and close; return whether this machine was quick enough to do so in time."""
    watchdog = HardwareWatchdog()
    times_s = [time.monotonic()]
    watchdog.apply(SETTINGS)
    wait_for(partial(has_fed, watchdog, 1))
    assert watchdog.state.timeout_s == TIMEOUT_S
    times_s.append(time.monotonic())
    while times_s[-1] - times_s[1] < 1.5 * TIMEOUT_S:
        feeds = watchdog.state.feed_count
        watchdog.feed()
        wait_for(partial(has_fed, watchdog, feeds + 1))
        times_s.append(time.monotonic())
    watchdog.close()
    times_s.append(time.monotonic())
    return max(later_s - earlier_s for earlier_s, later_s in pairwise(times_s)) < TIMEOUT_S / 2


def test_a_watchdog_fires_only_when_nobody_feeds_it(fired: Callable[[], bool]) -> None:
    """Fed, and after it was closed in order, the machine goes on; a path that hangs has it restarted."""
    quick = False
    while not quick:
        quick = fed_in_time()
        assert fired() is False or not quick
    time.sleep(1.5 * TIMEOUT_S)
    assert not fired(), "it was stopped when the program ended"
    hanging = HardwareWatchdog()
    hanging.apply(SETTINGS)
    wait_for(fired)
    hanging.close()

import errno
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tinybms_bridge.hal import hardware_watchdog
from tinybms_bridge.hal.hardware_watchdog import HardwareSettings, HardwareState, HardwareWatchdog
from tinybms_bridge.words import LANGUAGES

SET_TIMEOUT, GET_TIMEOUT = 0xC0045706, 0x80045707
"""WDIOC_SETTIMEOUT and WDIOC_GETTIMEOUT, as the headers of Linux for x86 and ARM have them."""
PATIENCE_S = 30.0


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that another thread brings about."""
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.001)


class Device:
    """A driver that remembers what it was asked; a real file is behind it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.longest_s = 1000
        self.knows_timeouts = True
        self.timeout_s = 30
        self.error = 0
        self.opened = 0
        self.closed = 0
        self.written: list[bytes] = []
        self.tried_s: list[int] = []
        self.threads: set[str] = set()
        self.broken = False
        self.stuck: threading.Event | None = None

    def open(self, path: str) -> int:
        """See ``DeviceCalls.open``."""
        self.threads.add(threading.current_thread().name)
        self.opened += 1
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        assert path == str(self.path)
        return os.open(path, os.O_WRONLY | os.O_CREAT)

    def ioctl(self, descriptor: int, request: int, value: bytes) -> bytes:
        """See ``DeviceCalls.ioctl``."""
        os.fstat(descriptor)
        if not self.knows_timeouts:
            raise OSError(errno.ENOTTY, "Inappropriate ioctl for device")
        if request == SET_TIMEOUT:
            (wanted_s,) = struct.unpack("@i", value)
            self.tried_s.append(wanted_s)
            if wanted_s > self.longest_s:
                raise OSError(errno.EINVAL, "Invalid argument")
            self.timeout_s = wanted_s
        else:
            assert request == GET_TIMEOUT
        return struct.pack("@i", self.timeout_s)

    def write(self, descriptor: int, data: bytes) -> int:
        """See ``DeviceCalls.write``."""
        if self.stuck is not None:
            self.stuck.wait(PATIENCE_S)
        if self.broken:
            raise OSError(errno.EIO, "Input/output error")
        self.written.append(data)
        return os.write(descriptor, data)

    def close(self, descriptor: int) -> None:
        """See ``DeviceCalls.close``."""
        self.closed += 1
        os.close(descriptor)


@pytest.fixture
def device(tmp_path: Path) -> Device:
    """A device that works."""
    return Device(tmp_path / "watchdog")


class Time:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Time:
    """The clock of the watchdog."""
    return Time()


@pytest.fixture
def watchdog(device: Device, clock: Time, monkeypatch: pytest.MonkeyPatch) -> Iterator[HardwareWatchdog]:
    """What feeds it; it ends with the test, however long a busy machine takes for that."""
    monkeypatch.setattr(hardware_watchdog, "_CLOSE_S", PATIENCE_S)
    watchdog = HardwareWatchdog(device, clock)
    yield watchdog
    watchdog.close()


def wanted(device: Device, timeout_s: int = 60) -> HardwareSettings:
    """Return what the configuration would say."""
    return HardwareSettings(str(device.path), timeout_s)


def fed(watchdog: HardwareWatchdog) -> None:
    """Feed once, and wait until the device was written to."""
    count = watchdog.state.feed_count
    watchdog.feed()
    until(lambda: watchdog.state.feed_count > count)


def test_nothing_is_opened_that_nobody_wants(device: Device, watchdog: HardwareWatchdog) -> None:
    """By default: not even a thread is there."""
    watchdog.apply(None)
    watchdog.feed()
    watchdog.close()
    assert not watchdog.active
    assert (device.opened, watchdog.state) == (0, HardwareState())


def test_it_is_opened_set_fed_and_stopped_as_the_kernel_says(device: Device, watchdog: HardwareWatchdog) -> None:
    """Opened once with its timeout, a write for each feed, and the letter V before the close at a clean end."""
    watchdog.apply(wanted(device))
    until(lambda: watchdog.state.running)
    for _ in range(3):
        fed(watchdog)
    state = watchdog.state
    assert (state.enabled, state.device, state.timeout_s, state.message) == (True, str(device.path), 60, None)
    assert (device.opened, device.closed, device.tried_s) == (1, 0, [60])
    watchdog.close()
    assert device.written[-1] == b"V"
    assert set(device.written[:-1]) == {b"\0"}, "no feed may look like the end"
    assert device.closed == 1


def test_only_its_own_thread_touches_the_device(device: Device, watchdog: HardwareWatchdog) -> None:
    """A driver that blocks holds up neither the loop nor the threads that write files."""
    device.stuck = threading.Event()
    watchdog.apply(wanted(device))
    until(lambda: watchdog.state.running)
    for _ in range(100):
        watchdog.feed()
    device.stuck.set()
    fed(watchdog)
    assert device.threads == {"hardware-watchdog"}


def test_a_driver_that_counts_no_further_gets_the_longest_it_takes(device: Device, watchdog: HardwareWatchdog) -> None:
    """That of a Raspberry Pi refused more than 15 s in older kernels; what is in force is shown."""
    device.longest_s = 15
    watchdog.apply(wanted(device, 90))
    until(lambda: watchdog.state.running)
    assert device.tried_s == [90, 60, 30, 15]
    assert watchdog.state.timeout_s == 15


def test_a_driver_without_timeouts_is_fed_all_the_same(device: Device, watchdog: HardwareWatchdog) -> None:
    """Nobody knows its time; it is shown as unknown."""
    device.knows_timeouts = False
    watchdog.apply(wanted(device))
    until(lambda: watchdog.state.running)
    assert watchdog.state.timeout_s is None
    fed(watchdog)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (errno.EBUSY, "busy", "RuntimeWatchdogSec"),
        (errno.ENOENT, "missing", "no watchdog"),
        (errno.ENODEV, "missing", "driver"),
        (errno.EACCES, "forbidden", "root"),
        (errno.EIO, "failed", "Input/output error"),
    ],
)
def test_a_device_that_cannot_be_had_is_told_with_what_to_do(
    device: Device, watchdog: HardwareWatchdog, clock: Time, error: int, code: str, words: str
) -> None:
    """One problem, however often it is fed; a minute later it is tried again, and then it may be there."""
    device.error = error
    watchdog.apply(wanted(device))
    until(lambda: watchdog.state.message is not None)
    problem = watchdog.state.message
    assert problem is not None
    assert problem.code == f"hardware_watchdog.{code}"
    assert words in problem.text
    assert all(str(device.path) in problem.say(language) for language in LANGUAGES)
    assert watchdog.state == HardwareState(enabled=True, device=str(device.path), message=problem)

    device.error = 0
    clock.now_s = 59.0
    watchdog.feed()
    until(lambda: not watchdog._wake.is_set())
    assert device.opened == 1, "not at once"
    clock.now_s = 60.0
    fed(watchdog)
    assert (watchdog.state.message, watchdog.state.running) == (None, True)


def test_a_device_that_fails_is_opened_again_later(device: Device, watchdog: HardwareWatchdog, clock: Time) -> None:
    """A driver that was unloaded: told, and taken again when it is back."""
    watchdog.apply(wanted(device))
    until(lambda: watchdog.state.running)
    device.broken = True
    watchdog.feed()
    until(lambda: watchdog.state.message is not None)
    assert not watchdog.state.running
    assert device.closed == 1
    device.broken, clock.now_s = False, 61.0
    fed(watchdog)
    assert watchdog.state.message is None


def test_another_configuration_is_in_force_at_once(device: Device, watchdog: HardwareWatchdog, tmp_path: Path) -> None:
    """Another device or time opens anew; switched off, the device is stopped and nothing of it is told any more."""
    watchdog.apply(wanted(device))
    until(lambda: watchdog.state.running)
    device.path = tmp_path / "watchdog1"
    watchdog.apply(wanted(device, 120))
    until(lambda: watchdog.state.timeout_s == 120)
    assert (device.opened, device.closed) == (2, 1)
    assert b"V" in device.written
    watchdog.apply(None)
    until(lambda: not watchdog.state.enabled)
    assert device.written[-1] == b"V"
    assert (device.closed, watchdog.state.running) == (2, False)


def test_a_driver_that_never_returns_holds_the_end_up_for_moments_only(
    device: Device, clock: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends; what is left then is the hardware's."""
    monkeypatch.setattr(hardware_watchdog, "_CLOSE_S", 0.05)
    device.stuck = threading.Event()
    watchdog = HardwareWatchdog(device, clock)
    watchdog.apply(wanted(device))
    watchdog.feed()
    until(lambda: watchdog.state.running)
    watchdog.close()
    assert b"V" not in device.written
    device.stuck.set()
    until(lambda: device.closed == 1)

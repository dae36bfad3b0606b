"""The watchdog of the machine, ``/dev/watchdog``: the hardware restarts the machine when nobody feeds it any more.

By Documentation/watchdog/watchdog-api.rst of Linux: opening the device starts it, any write feeds it, the character
``V`` right before closing stops it. One that is closed without, as when the process is killed, runs on, and the next
start has to take it over in time; so it does where the driver cannot stop it (``nowayout``).

Everything that touches the device is done by one thread of its own: a driver may block, and so may the threads that
write files. Where systemd feeds the device (``RuntimeWatchdogSec``) it is busy, and stays systemd's.
"""

import errno
import fcntl
import logging
import os
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from tinybms_bridge.hal.system_errors import error_words
from tinybms_bridge.words import Message, message

__all__ = ["DeviceCalls", "HardwareSettings", "HardwareState", "HardwareWatchdog"]

log = logging.getLogger(__name__)

_SET_TIMEOUT = 0xC004_5706
"""WDIOC_SETTIMEOUT of linux/watchdog.h: _IOWR('W', 6, int), seconds; the driver answers with those in force."""
_GET_TIMEOUT = 0x8004_5707
"""WDIOC_GETTIMEOUT: _IOR('W', 7, int)."""
_SECONDS = struct.Struct("@i")
_LESS_S = (120, 60, 30, 15, 10)
"""What is tried where a driver refuses more: some count to 16 s and no further."""
_KEEP_ALIVE = b"\0"
_STOP = b"V"
_AGAIN_S = 60.0
"""Pause between two attempts to open a device that is missing or busy."""
_CLOSE_S = 1.0
"""Patience with a driver at the end of the process."""


@dataclass(frozen=True, slots=True)
class HardwareSettings:
    """What is wanted of the device."""

    device: str = "/dev/watchdog"
    timeout_s: int = 60


@dataclass(frozen=True, slots=True)
class HardwareState:
    """How the watchdog of the machine is."""

    enabled: bool = False
    """Whether it is to be used."""
    device: str = ""
    running: bool = False
    """Whether it is open, so that the machine restarts when it is not fed."""
    timeout_s: int | None = None
    """Time without a feed until then, as the driver says; None where it does not."""
    feed_count: int = 0
    message: Message | None = None
    """Why it is not open."""

    def why(self) -> Message | None:
        """Return why not, by code."""
        return self.message


class DeviceCalls(Protocol):
    """The calls of the system; tests hand in others. Each raises OSError."""

    def open(self, path: str) -> int:
        """Open the device for writing."""
        ...

    def ioctl(self, descriptor: int, request: int, value: bytes) -> bytes:
        """Return what the driver made of ``value``."""
        ...

    def write(self, descriptor: int, data: bytes) -> int:
        """Write to the device."""
        ...

    def close(self, descriptor: int) -> None:
        """Close it."""
        ...


class _SystemCalls:
    """Those of Linux."""

    def open(self, path: str) -> int:
        """See ``DeviceCalls.open``."""
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK)

    def ioctl(self, descriptor: int, request: int, value: bytes) -> bytes:
        """See ``DeviceCalls.ioctl``."""
        return fcntl.ioctl(descriptor, request, value)

    def write(self, descriptor: int, data: bytes) -> int:
        """See ``DeviceCalls.write``."""
        return os.write(descriptor, data)

    def close(self, descriptor: int) -> None:
        """See ``DeviceCalls.close``."""
        os.close(descriptor)


class HardwareWatchdog:
    """Opens, feeds and closes the device; no call but ``close`` waits for anything.

    Args:
        calls: The calls of the system.
        monotonic: Source of time for the pauses between attempts.

    """

    def __init__(self, calls: DeviceCalls | None = None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.state = HardwareState()
        """How it is; replaced with each change."""
        self._calls = calls or _SystemCalls()
        self._monotonic = monotonic
        self._wanted: HardwareSettings | None = None
        self._ending = False
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._descriptor: int | None = None
        self._in_use: HardwareSettings | None = None
        self._tried_s: float | None = None

    @property
    def active(self) -> bool:
        """Whether it was ever wanted, so that there is something to ``close``."""
        return self._thread is not None

    def apply(self, wanted: HardwareSettings | None) -> None:
        """Have a device fed from now on, or none."""
        if wanted == self._wanted:
            return
        self._wanted = wanted
        if self._thread is None and wanted is not None:
            self._thread = threading.Thread(target=self._run, name="hardware-watchdog", daemon=True)
            self._thread.start()
        self._wake.set()

    def feed(self) -> None:
        """Say that the path made progress."""
        if self._wanted is not None:
            self._wake.set()

    def close(self) -> None:
        """Stop the watchdog, since the process ends on purpose. Blocks, for a second at most."""
        if self._thread is not None:
            self._ending = True
            self._wake.set()
            self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        ending = False
        while not ending:
            self._wake.wait()
            self._wake.clear()
            ending = self._ending
            self._do_what_is_wanted(None if ending else self._wanted)

    def _do_what_is_wanted(self, wanted: HardwareSettings | None) -> None:
        if wanted != self._in_use:
            self._stop()
            self._in_use, self._tried_s = wanted, None
            self._tell(None)
        if wanted is None:
            return
        if self._descriptor is None and not self._start(wanted):
            return
        self._keep_alive(wanted)

    def _start(self, wanted: HardwareSettings) -> bool:
        now_s = self._monotonic()
        if self._tried_s is not None and now_s - self._tried_s < _AGAIN_S:
            return False
        self._tried_s = now_s
        try:
            self._descriptor = self._calls.open(wanted.device)
        except OSError as error:
            self._tell(_told(wanted.device, error))
            return False
        timeout_s = self._set_timeout(self._descriptor, wanted.timeout_s)
        self._tell(None)
        log.info("%s restarts this machine after %s s without a feed", wanted.device, timeout_s or "some")
        self.state = replace(self.state, running=True, timeout_s=timeout_s)
        return True

    def _set_timeout(self, descriptor: int, wanted_s: int) -> int | None:
        """Set the timeout that is wanted, or the longest below it that the driver takes; return what is in force."""
        for seconds in (wanted_s, *(less_s for less_s in _LESS_S if less_s < wanted_s)):
            with suppress(OSError):
                return self._seconds(descriptor, _SET_TIMEOUT, seconds)
        with suppress(OSError):
            return self._seconds(descriptor, _GET_TIMEOUT, 0)
        return None

    def _seconds(self, descriptor: int, request: int, seconds: int) -> int:
        answer = self._calls.ioctl(descriptor, request, _SECONDS.pack(seconds))
        found: int = _SECONDS.unpack(answer)[0]
        return found

    def _keep_alive(self, wanted: HardwareSettings) -> None:
        descriptor = self._descriptor
        assert descriptor is not None
        try:
            self._calls.write(descriptor, _KEEP_ALIVE)
        except OSError as error:
            self._stop()
            self._tell(_told(wanted.device, error))
        else:
            self.state = replace(self.state, feed_count=self.state.feed_count + 1)

    def _stop(self) -> None:
        """Stop and close the device, if it is open."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        for step in (lambda: self._calls.write(descriptor, _STOP), lambda: self._calls.close(descriptor)):
            with suppress(OSError):
                step()

    def _tell(self, problem: Message | None) -> None:
        """Show how the device is, with why it is not open."""
        wanted = self._in_use
        self.state = HardwareState(
            enabled=wanted is not None,
            device="" if wanted is None else wanted.device,
            feed_count=self.state.feed_count,
            message=problem,
        )


def _told(device: str, error: OSError) -> Message:
    """Return why a device cannot be used, with what to do about it."""
    if error.errno == errno.EBUSY:
        return message("hardware_watchdog.busy", device=device)
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return message("hardware_watchdog.missing", device=device)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return message("hardware_watchdog.forbidden", device=device)
    return message("hardware_watchdog.failed", device=device, error=error_words(error))

"""The service manager's watchdog: tells systemd that the bridge is ready and alive (protocol sd_notify)."""

import os
import socket
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Protocol

__all__ = ["NullWatchdog", "ProgressGuard", "SystemdWatchdog", "Watchdog", "find_watchdog"]


class Watchdog(Protocol):
    """Somebody who restarts a bridge that hangs."""

    def ready(self) -> None:
        """Say that the start is complete."""
        ...

    def feed(self) -> None:
        """Say that the path made progress."""
        ...

    def set_timeout(self, timeout_s: float) -> None:
        """Ask for a restart after this much time without ``feed``, if there is a watchdog at all."""
        ...

    def status(self, text: str) -> None:
        """Set the line that ``systemctl status`` shows."""
        ...

    def stopping(self) -> None:
        """Say that the process ends on purpose."""
        ...


class NullWatchdog:
    """Nobody watches."""

    def ready(self) -> None:
        """See ``Watchdog.ready``."""

    def feed(self) -> None:
        """See ``Watchdog.feed``."""

    def set_timeout(self, timeout_s: float) -> None:
        """See ``Watchdog.set_timeout``."""

    def status(self, text: str) -> None:
        """See ``Watchdog.status``."""

    def stopping(self) -> None:
        """See ``Watchdog.stopping``."""


class SystemdWatchdog:
    """Sends datagrams to the socket that systemd names in ``NOTIFY_SOCKET``.

    ``watched`` says that the unit has ``WatchdogSec``, which systemd tells in ``WATCHDOG_USEC``.
    """

    def __init__(self, address: str, *, watched: bool = False) -> None:
        self._watched = watched
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def ready(self) -> None:
        """See ``Watchdog.ready``."""
        self._send("READY=1")

    def feed(self) -> None:
        """See ``Watchdog.feed``."""
        self._send("WATCHDOG=1")

    def set_timeout(self, timeout_s: float) -> None:
        """See ``Watchdog.set_timeout``; a unit without ``WatchdogSec`` stays without a watchdog."""
        if self._watched:
            self._send(f"WATCHDOG_USEC={round(timeout_s * 1e6)}")

    def status(self, text: str) -> None:
        """See ``Watchdog.status``; line breaks become spaces."""
        self._send("STATUS=" + " ".join(text.split()))

    def stopping(self) -> None:
        """See ``Watchdog.stopping``."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        try:
            self._socket.sendto(message.encode(errors="replace"), self._address)
        except OSError:  # a full or vanished socket must not harm the path
            return


@dataclass(slots=True)
class _Progress:
    """What a part showed last."""

    mark: Hashable
    since_s: float
    pause_s: float


class ProgressGuard:
    """Feeds a watchdog only while every part makes progress.

    Args:
        watchdog: Who is fed.
        monotonic: Source of time; it must stand while the machine is suspended, since no part can go on then.
        enabled: Whether progress counts; otherwise the watchdog is always fed.
        timeout_s: Longest time without progress, on top of the pauses that a part makes on purpose.

    """

    def __init__(
        self, watchdog: Watchdog, monotonic: Callable[[], float], *, enabled: bool = True, timeout_s: float = 30.0
    ) -> None:
        self.feeds = 0
        """How often the watchdog was fed."""
        self.last_feed_s: float | None = None
        """Time of the last feed on the guard's own clock."""
        self._watchdog = watchdog
        self._monotonic = monotonic
        self._parts: dict[str, _Progress] = {}
        self.configure(enabled=enabled, timeout_s=timeout_s)

    def configure(self, *, enabled: bool, timeout_s: float) -> None:
        """Set whether and how long; the service manager waits as long for a sign of life of the whole process."""
        self.enabled = enabled
        self.timeout_s = timeout_s
        self._watchdog.set_timeout(timeout_s)

    def note(self, part: str, mark: Hashable, *, pause_s: float = 0.0) -> None:
        """Take a value that changes while ``part`` works; ``pause_s`` is the longest time that it may rest."""
        known = self._parts.get(part)
        if known is None or known.mark != mark:
            self._parts[part] = _Progress(mark, self._monotonic(), pause_s)
        else:
            known.pause_s = pause_s

    def hanging(self) -> tuple[str, ...]:
        """Return the parts that have made no progress for too long."""
        now_s = self._monotonic()
        return tuple(name for name, part in self._parts.items() if now_s - part.since_s > self.timeout_s + part.pause_s)

    def feed(self) -> bool:
        """Feed the watchdog unless a part hangs; True when it was fed."""
        if self.enabled and self.hanging():
            return False
        self.feeds += 1
        self.last_feed_s = self._monotonic()
        self._watchdog.feed()
        return True


def find_watchdog() -> Watchdog:
    """Return systemd's watchdog when the process was started by it, else one that does nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return NullWatchdog()
    return SystemdWatchdog(address, watched=bool(os.environ.get("WATCHDOG_USEC")))

"""The service manager's watchdog: tells systemd that the bridge is ready and alive (protocol sd_notify)."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

__all__ = [
    "FeedIntervals",
    "NullWatchdog",
    "PartProgress",
    "ProgressGuard",
    "SystemdWatchdog",
    "Watchdog",
    "find_watchdog",
]


class Watchdog(Protocol):
    """Somebody who restarts a bridge that hangs."""

    @property
    def watches(self) -> bool:
        """Whether a bridge that is not fed is restarted."""
        ...

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

    watches = False

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
        self.watches = watched
        """See ``Watchdog.watches``."""
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
        if self.watches:
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


@dataclass(frozen=True, slots=True)
class PartProgress:
    """How a part of the path works, as the guard sees it; it looks twice a second.

    What counts is that the part tries, never what it gets: a BMS or an adapter that is missing is no hang.
    """

    name: str
    attempts: int = 0
    """What it has tried since the start."""
    idle_ms: int = 0
    """Since the last sign of progress."""
    last_interval_ms: int | None = None
    """Between the last two signs of progress; None before there were two."""
    longest_interval_ms: int = 0
    """The longest time without one, that of this moment included."""
    allowed_ms: int = 0
    """Longest time without progress: the timeout, and the pauses that the part makes on purpose."""
    hangs: bool = False
    """Whether it stands still for longer than that."""


@dataclass(frozen=True, slots=True)
class FeedIntervals:
    """Times between two feeds of the watchdog; None before there were two."""

    last_ms: float | None = None
    shortest_ms: float | None = None
    longest_ms: float | None = None
    mean_ms: float | None = None


@dataclass(slots=True)
class _Part:
    """What a part showed last."""

    mark: int
    since_s: float
    pause_s: float
    attempts: int
    last_interval_s: float | None = None
    longest_interval_s: float = 0.0

    def go_on(self, mark: int, now_s: float) -> None:
        """Take a sign of progress; of a count that begins again it is known only that it grows."""
        self.attempts += max(1, mark - self.mark)
        self.last_interval_s = now_s - self.since_s
        self.longest_interval_s = max(self.longest_interval_s, self.last_interval_s)
        self.mark, self.since_s = mark, now_s


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
        self._first_feed_s = 0.0
        self._intervals_s: tuple[float, float, float] | None = None
        self._watchdog = watchdog
        self._monotonic = monotonic
        self._parts: dict[str, _Part] = {}
        self.configure(enabled=enabled, timeout_s=timeout_s)

    def configure(self, *, enabled: bool, timeout_s: float) -> None:
        """Set whether and how long; the service manager waits as long for a sign of life of the whole process."""
        self.enabled = enabled
        self.timeout_s = timeout_s
        self._watchdog.set_timeout(timeout_s)

    def note(self, part: str, mark: int, *, pause_s: float = 0.0) -> None:
        """Take a count of what ``part`` has tried; ``pause_s`` is the longest time that it may rest.

        Any change is progress: a count may begin from 0 again.
        """
        known = self._parts.get(part)
        if known is None:
            self._parts[part] = _Part(mark, self._monotonic(), pause_s, attempts=mark)
            return
        known.pause_s = pause_s
        if known.mark != mark:
            known.go_on(mark, self._monotonic())

    def leave(self, part: str) -> None:
        """Expect nothing of a part any more: it was stopped on purpose."""
        self._parts.pop(part, None)

    def hanging(self) -> tuple[str, ...]:
        """Return the parts that have made no progress for too long."""
        now_s = self._monotonic()
        return tuple(name for name, part in self._parts.items() if self._hangs(part, now_s))

    def feed(self) -> bool:
        """Feed the watchdog unless a part hangs; True when it was fed."""
        if self.enabled and self.hanging():
            return False
        now_s = self._monotonic()
        if self.last_feed_s is None:
            self._first_feed_s = now_s
        else:
            interval_s = now_s - self.last_feed_s
            _, shortest_s, longest_s = self._intervals_s or (interval_s, interval_s, interval_s)
            self._intervals_s = interval_s, min(shortest_s, interval_s), max(longest_s, interval_s)
        self.feeds += 1
        self.last_feed_s = now_s
        self._watchdog.feed()
        return True

    @property
    def intervals(self) -> FeedIntervals:
        """The times between two feeds."""
        if self._intervals_s is None or self.last_feed_s is None:
            return FeedIntervals()
        mean_s = (self.last_feed_s - self._first_feed_s) / (self.feeds - 1)
        last_ms, shortest_ms, longest_ms, mean_ms = (
            round(each_s * 1000.0, 1) for each_s in (*self._intervals_s, mean_s)
        )
        return FeedIntervals(last_ms, shortest_ms, longest_ms, mean_ms)

    def parts(self) -> tuple[PartProgress, ...]:
        """Return how each part works."""
        now_s = self._monotonic()
        return tuple(self._progress(name, part, now_s) for name, part in self._parts.items())

    def _progress(self, name: str, part: _Part, now_s: float) -> PartProgress:
        idle_s, last_s = now_s - part.since_s, part.last_interval_s
        return PartProgress(
            name,
            part.attempts,
            idle_ms=_ms(idle_s),
            last_interval_ms=None if last_s is None else _ms(last_s),
            longest_interval_ms=_ms(max(part.longest_interval_s, idle_s)),
            allowed_ms=_ms(self._allowed_s(part)),
            hangs=self._hangs(part, now_s),
        )

    def _allowed_s(self, part: _Part) -> float:
        return self.timeout_s + part.pause_s

    def _hangs(self, part: _Part, now_s: float) -> bool:
        return now_s - part.since_s > self._allowed_s(part)


def _ms(seconds: float) -> int:
    return round(seconds * 1000.0)


def find_watchdog() -> Watchdog:
    """Return systemd's watchdog when the process was started by it, else one that does nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return NullWatchdog()
    return SystemdWatchdog(address, watched=bool(os.environ.get("WATCHDOG_USEC")))

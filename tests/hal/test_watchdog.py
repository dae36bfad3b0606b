import contextlib
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tinybms_bridge.hal.watchdog import (
    FeedIntervals,
    NullWatchdog,
    PartProgress,
    ProgressGuard,
    SystemdWatchdog,
    Watchdog,
    find_watchdog,
)


class Manager:
    """The service manager's end of the notification socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        """Return the messages that came since the last call."""
        messages = []
        with contextlib.suppress(BlockingIOError):
            while True:
                messages.append(self.socket.recv(65536).decode())
        return messages


@pytest.fixture
def directory() -> Iterator[Path]:
    """A folder with a name short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="wd") as name:
        yield Path(name)


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, directory: Path) -> Iterator[Manager]:
    """A service manager that listens on a file or on an abstract name."""
    manager = Manager(f"{directory}/notify" if request.param == "path" else f"@{directory.name}/notify")
    yield manager
    manager.socket.close()


@pytest.fixture
def watchdog_at() -> Iterator[Callable[[str], SystemdWatchdog]]:
    """Return a maker of watchdogs; their sockets are closed with the test."""
    made: list[SystemdWatchdog] = []

    def make(address: str) -> SystemdWatchdog:
        made.append(SystemdWatchdog(address))
        return made[-1]

    yield make
    for watchdog in made:
        watchdog._socket.close()


def test_messages_are_those_of_the_protocol(manager: Manager, watchdog_at: Callable[[str], SystemdWatchdog]) -> None:
    """One datagram each, as sd_notify defines them."""
    watchdog = watchdog_at(manager.address)
    watchdog.ready()
    watchdog.feed()
    watchdog.feed()
    watchdog.status("52.1 V, charging")
    watchdog.stopping()
    assert manager.heard() == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "STATUS=52.1 V, charging", "STOPPING=1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one\ntwo\r\nthree", "STATUS=one two three"),
        ("no frames\nWATCHDOG=1", "STATUS=no frames WATCHDOG=1"),
        ("", "STATUS="),
        ("25 °C", "STATUS=25 °C"),
        ("/dev/tty\udcff", "STATUS=/dev/tty?"),
    ],
)
def test_status_is_one_line(
    manager: Manager, watchdog_at: Callable[[str], SystemdWatchdog], text: str, message: str
) -> None:
    """A text from elsewhere cannot smuggle in a message of its own, nor can its characters make trouble."""
    watchdog_at(manager.address).status(text)
    assert manager.heard() == [message]


def test_manager_that_went_away_harms_nobody(directory: Path, watchdog_at: Callable[[str], SystemdWatchdog]) -> None:
    """Nothing listens, or the file is gone: every call returns, and a manager that comes back is heard again."""
    address = f"{directory}/notify"
    watchdog = watchdog_at(address)
    watchdog.feed()
    manager = Manager(address)
    manager.socket.close()
    watchdog.feed()
    Path(address).unlink()
    manager = Manager(address)
    watchdog.feed()
    assert manager.heard() == ["WATCHDOG=1"]
    manager.socket.close()


def test_manager_that_does_not_read_harms_nobody(
    manager: Manager, watchdog_at: Callable[[str], SystemdWatchdog]
) -> None:
    """A full queue loses messages; the path goes on at once instead of waiting for it."""
    watchdog = watchdog_at(manager.address)
    for _ in range(5000):
        watchdog.feed()
    assert 0 < len(manager.heard()) < 5000


def test_address_that_is_none_harms_nobody(watchdog_at: Callable[[str], SystemdWatchdog]) -> None:
    """A path too long for a socket, or of another kind, is as good as no manager."""
    for address in ("/" + "x" * 300, "vsock:2:1234", "@" + "x" * 300):
        watchdog = watchdog_at(address)
        watchdog.ready()
        watchdog.feed()
        watchdog.stopping()
        assert isinstance(watchdog, SystemdWatchdog)


async def test_feeding_never_blocks_the_event_loop(
    manager: Manager, watchdog_at: Callable[[str], SystemdWatchdog]
) -> None:
    """It is called on the loop that sends the frames; a blocking socket call fails every test here."""
    watchdog_at(manager.address).feed()
    assert manager.heard() == ["WATCHDOG=1"]


def test_watchdog_is_found_where_systemd_says(monkeypatch: pytest.MonkeyPatch, manager: Manager) -> None:
    """Under systemd the variable names the socket; without it nobody watches."""
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    found = find_watchdog()
    assert isinstance(found, SystemdWatchdog)
    found.ready()
    found._socket.close()
    assert manager.heard() == ["READY=1"]


@pytest.mark.parametrize("value", [None, ""])
def test_no_systemd_means_no_watchdog(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    """Started by hand: every call is taken and does nothing."""
    if value is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", value)
    watchdog: Watchdog = find_watchdog()
    assert isinstance(watchdog, NullWatchdog)
    watchdog.ready()
    watchdog.feed()
    watchdog.status("fine")
    watchdog.stopping()


def test_timeout_is_told_only_where_a_watchdog_is_set_up(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit decides whether there is a watchdog at all (WATCHDOG_USEC); the configuration how patient it is."""
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    for usec, messages in ((None, []), ("", []), ("60000000", ["WATCHDOG_USEC=45500000"])):
        if usec is None:
            monkeypatch.delenv("WATCHDOG_USEC", raising=False)
        else:
            monkeypatch.setenv("WATCHDOG_USEC", usec)
        found = find_watchdog()
        found.set_timeout(45.5)
        assert isinstance(found, SystemdWatchdog)
        found._socket.close()
        assert manager.heard() == messages


class Bowl:
    """A watchdog that counts, and a clock."""

    watches = True

    def __init__(self) -> None:
        self.fed = 0
        self.now_s = 0.0
        self.timeouts: list[float] = []

    def feed(self) -> None:
        """See ``Watchdog.feed``."""
        self.fed += 1

    def set_timeout(self, timeout_s: float) -> None:
        """See ``Watchdog.set_timeout``."""
        self.timeouts.append(timeout_s)

    def ready(self) -> None:
        """See ``Watchdog.ready``."""

    def status(self, text: str) -> None:
        """See ``Watchdog.status``."""

    def stopping(self) -> None:
        """See ``Watchdog.stopping``."""

    def monotonic(self) -> float:
        """Return the time."""
        return self.now_s


def test_guard_feeds_while_every_part_goes_on() -> None:
    """One part that stands still for longer than the timeout is enough to starve the watchdog."""
    bowl = Bowl()
    guard = ProgressGuard(bowl, bowl.monotonic, timeout_s=30.0)
    for second in range(100):
        bowl.now_s = float(second)
        guard.note("uart", second)
        guard.note("can", min(second, 40))
        assert guard.feed() is (second <= 70)
    assert guard.hanging() == ("can",)
    assert (guard.feeds, bowl.fed, guard.last_feed_s) == (71, 71, 70.0)


def test_part_that_goes_on_again_is_forgiven() -> None:
    """A hang that ends before the service manager acts costs nothing."""
    bowl = Bowl()
    guard = ProgressGuard(bowl, bowl.monotonic, timeout_s=5.0)
    guard.note("uart", 1)
    bowl.now_s = 6.0
    assert not guard.feed()
    guard.note("uart", 2)
    assert guard.feed()


def test_pauses_on_purpose_are_no_hang() -> None:
    """A part that waits ten seconds between two attempts is not taken for dead after five."""
    bowl = Bowl()
    guard = ProgressGuard(bowl, bowl.monotonic, timeout_s=5.0)
    guard.note("can", 1, pause_s=10.0)
    bowl.now_s = 14.9
    assert guard.feed()
    bowl.now_s = 15.1
    assert not guard.feed()
    guard.note("can", 1, pause_s=20.0)
    assert guard.feed(), "a longer pause counts at once"


def test_part_that_was_stopped_on_purpose_is_not_waited_for() -> None:
    """A pack that was taken out of service starves nobody; put back, it has its whole time again."""
    bowl = Bowl()
    guard = ProgressGuard(bowl, bowl.monotonic, timeout_s=5.0)
    guard.note("uart-a", 1)
    guard.note("uart-b", 1)
    bowl.now_s = 6.0
    guard.note("uart-a", 2)
    guard.leave("uart-b")
    guard.leave("uart-c")
    assert guard.feed()
    assert [part.name for part in guard.parts()] == ["uart-a"]
    guard.note("uart-b", 1)
    bowl.now_s = 10.0
    assert guard.feed()


def test_disabled_guard_always_feeds() -> None:
    """Without the watchdog of the configuration the service manager must not restart a bridge that hangs."""
    bowl = Bowl()
    guard = ProgressGuard(bowl, bowl.monotonic, enabled=False, timeout_s=5.0)
    guard.note("uart", 1)
    bowl.now_s = 1000.0
    assert guard.feed()
    guard.configure(enabled=True, timeout_s=60.0)
    assert not guard.feed()
    assert bowl.timeouts == [5.0, 60.0]


def test_figures_of_a_part() -> None:
    """What it has tried, how long between two signs of it, how long it may rest, and whether it hangs."""
    bowl = Bowl()
    guard = ProgressGuard(bowl, bowl.monotonic, timeout_s=30.0)
    for at_s, count in ((0.0, 5), (0.5, 9), (8.0, 10), (8.5, 12)):
        bowl.now_s = at_s
        guard.note("uart", count, pause_s=10.0)
    bowl.now_s = 10.0
    part = PartProgress(
        "uart", attempts=12, idle_ms=1500, last_interval_ms=500, longest_interval_ms=7500, allowed_ms=40_000
    )
    assert guard.parts() == (part,)
    bowl.now_s = 48.6
    hanging = replace(part, idle_ms=40_100, longest_interval_ms=40_100, hangs=True)
    assert guard.parts() == (hanging,), "the time that goes on counts as the longest"


def test_part_that_was_never_seen_to_try_has_no_interval_yet() -> None:
    """One that hangs from the start is no exception: its time runs from the first look."""
    bowl = Bowl()
    guard = ProgressGuard(bowl, bowl.monotonic, timeout_s=30.0)
    for at_s in (0.0, 31.0):
        bowl.now_s = at_s
        guard.note("can", 0)
    (part,) = guard.parts()
    assert (part.attempts, part.last_interval_ms, part.hangs) == (0, None, True)


def test_count_that_begins_again_is_progress() -> None:
    """Statistics are set to 0, an adapter is opened again: the part tries, and the sum never falls."""
    bowl = Bowl()
    guard = ProgressGuard(bowl, bowl.monotonic, timeout_s=5.0)
    for at_s, count in ((0.0, 100), (4.0, 3), (8.0, 4)):
        bowl.now_s = at_s
        guard.note("uart", count)
        assert guard.feed()
    assert guard.parts()[0].attempts == 102


def test_intervals_of_the_feeds() -> None:
    """Last, shortest, longest and mean time between two feeds; a time without any ends in the longest one."""
    bowl = Bowl()
    guard = ProgressGuard(bowl, bowl.monotonic)
    assert guard.intervals == FeedIntervals()
    for at_s in (10.0, 10.5, 14.5, 15.5):
        bowl.now_s = at_s
        guard.feed()
        if at_s == 10.0:
            assert guard.intervals == FeedIntervals(), "one feed has no interval"
    assert guard.intervals == FeedIntervals(last_ms=1000.0, shortest_ms=500.0, longest_ms=4000.0, mean_ms=1833.3)

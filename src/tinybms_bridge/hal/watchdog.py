"""The service manager's watchdog: tells systemd that the bridge is ready and alive (protocol sd_notify)."""

import os
import socket
from typing import Protocol

__all__ = ["NullWatchdog", "SystemdWatchdog", "Watchdog", "find_watchdog"]


class Watchdog(Protocol):
    """Somebody who restarts a bridge that hangs."""

    def ready(self) -> None:
        """Say that the start is complete."""
        ...

    def feed(self) -> None:
        """Say that the path made progress."""
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

    def status(self, text: str) -> None:
        """See ``Watchdog.status``."""

    def stopping(self) -> None:
        """See ``Watchdog.stopping``."""


class SystemdWatchdog:
    """Sends datagrams to the socket that systemd names in ``NOTIFY_SOCKET``."""

    def __init__(self, address: str) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def ready(self) -> None:
        """See ``Watchdog.ready``."""
        self._send("READY=1")

    def feed(self) -> None:
        """See ``Watchdog.feed``."""
        self._send("WATCHDOG=1")

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


def find_watchdog() -> Watchdog:
    """Return systemd's watchdog when the process was started by it, else one that does nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    return SystemdWatchdog(address) if address else NullWatchdog()

"""A syslog server: one UDP datagram for each line (RFC 5424, RFC 5426)."""

import os
import re
import socket
from collections.abc import Callable, Sequence

from tinybms_bridge.services.logs.console import PRIORITIES
from tinybms_bridge.services.logs.lines import LogLine

__all__ = ["Syslog", "server_address"]

_PORT = 514
_FACILITY_DAEMON = 3
_MOST_BYTES = 2048
"""What every receiver should accept (RFC 5426, section 3.2)."""


def server_address(server: str) -> tuple[str, int]:
    """Return host and port of ``HOST`` or ``HOST:PORT``. Raises ValueError for a port outside 1 to 65535."""
    host, _, port = server.partition(":")
    number = int(port) if port else _PORT
    if not host or not 1 <= number <= 65535:
        raise ValueError(f"{server!r} is no syslog server; use HOST or HOST:PORT")
    return host, number


class Syslog:
    """Sends lines to a server; the name is looked up again after a failure.

    Args:
        server: ``HOST`` or ``HOST:PORT``.
        hostname: Own name in the datagrams; the machine's by default.

    """

    def __init__(self, server: str, *, hostname: Callable[[], str] = socket.gethostname) -> None:
        self._server = server
        self._hostname = hostname
        self._address: tuple[str, int] | None = None

    def write(self, lines: Sequence[LogLine]) -> None:
        """See ``Target.write``; a port that cannot be is a ValueError here."""
        try:
            if self._address is None:
                host, port = server_address(self._server)
                found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)
                self._address = (str(found[0][4][0]), port)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                for line in lines:
                    sender.sendto(self._datagram(line), self._address)
        except OSError:
            self._address = None
            raise

    def _datagram(self, line: LogLine) -> bytes:
        priority = 8 * _FACILITY_DAEMON + PRIORITIES[line.level]
        host = re.sub(r"[^\x21-\x7E]", "", self._hostname()) or "-"
        text = line.text.replace("\n", " | ")
        head = f"<{priority}>1 {line.at:%Y-%m-%dT%H:%M:%S.%f}Z {host} tinybms-bridge {os.getpid()} {line.source} - "
        return (head.encode(errors="replace") + text.encode(errors="replace"))[:_MOST_BYTES]

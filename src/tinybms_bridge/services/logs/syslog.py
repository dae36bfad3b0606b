"""A syslog server: one UDP datagram for each line (RFC 5424, RFC 5426), sent by ``SysLogHandler``.

The name is looked up once for a handler: left to itself the standard one asks for it with each line. It is in the way
of nobody, because the handler is made in the thread of its output; after a failure another one is made, and asks again.
"""

import logging
import os
import re
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from logging.handlers import SysLogHandler

from tinybms_bridge.hal.log_output import RaisingHandler

__all__ = ["open_syslog", "server_address"]

_PORT = 514
_MOST_BYTES = 2048
"""What every receiver should accept (RFC 5426, section 3.2)."""
_PRIORITY_BYTES = len("<31>")


def server_address(server: str) -> tuple[str, int]:
    """Return host and port of ``HOST`` or ``HOST:PORT``. Raises ValueError for a port outside 1 to 65535."""
    host, _, port = server.partition(":")
    number = int(port) if port else _PORT
    if not host or not 1 <= number <= 65535:
        raise ValueError(f"{server!r} is no syslog server; use HOST or HOST:PORT")
    return host, number


def open_syslog(server: str, *, hostname: Callable[[], str] = socket.gethostname) -> logging.Handler:
    """Return what sends lines to ``HOST`` or ``HOST:PORT``; ``hostname`` is the own name in the datagrams.

    Blocks for the name. Raises OSError for a server that is not known, ValueError for one that cannot be.
    """
    host, port = server_address(server)
    found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)
    handler = _Syslog((str(found[0][4][0]), port), SysLogHandler.LOG_DAEMON, socket.SOCK_DGRAM)
    handler.setFormatter(_Rfc5424Formatter(hostname))
    return handler


class _Syslog(RaisingHandler, SysLogHandler):
    append_nul = False


class _Rfc5424Formatter(logging.Formatter):
    """What follows the priority: version, time, host, program, process, logger, no structured data, text."""

    def __init__(self, hostname: Callable[[], str]) -> None:
        super().__init__()
        self._hostname = hostname

    def format(self, record: logging.LogRecord) -> str:
        host = re.sub(r"[^\x21-\x7E]", "", self._hostname()) or "-"
        at = datetime.fromtimestamp(record.created, UTC)
        head = f"1 {at:%Y-%m-%dT%H:%M:%S.%f}Z {host} tinybms-bridge {os.getpid()} {record.name} - "
        text = record.getMessage().replace("\n", " | ")
        return (head + text).encode(errors="replace")[: _MOST_BYTES - _PRIORITY_BYTES].decode(errors="ignore")

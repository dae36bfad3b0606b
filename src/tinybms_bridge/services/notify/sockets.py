"""Connections with one deadline for everything that is done over them.

The time-out of a socket begins anew with each byte: a server that sends one each second would hold a thread for ever.
Here each wait is as long as what is left, so that ``http.client`` and ``smtplib`` end in time without knowing of it.
Only the question to the DNS cannot be ended; it has time-outs of its own.
"""

import errno
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any

__all__ = ["MOST_BYTES", "Deadline", "open_socket", "tls_context"]

_CONNECT_S = 10.0
"""For each address of a name: a dead IPv6 must leave time for IPv4."""
MOST_BYTES = 256 * 1024
"""More than a server has to say in answer to a message; what comes then is not read."""


class Deadline:
    """The moment until which something has to be done.

    Args:
        limit_s: Seconds from now.
        now_s: Returns a monotonic time.

    """

    def __init__(self, limit_s: float, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._end_s = now_s() + limit_s

    def left_s(self) -> float:
        """Return the seconds that are left, more than 0. Raises TimeoutError when there are none."""
        left_s = self._end_s - self._now_s()
        if left_s <= 0.0:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        return left_s


class _Reading:
    """Counts what has come."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, count: int) -> int:
        """Count some bytes. Raises OSError when they are too many."""
        self._count += count
        if self._count > MOST_BYTES:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        return count


class _PlainSocket(socket.socket):
    """A socket with a deadline."""

    def __init__(self, family: int, kind: int, deadline: Deadline) -> None:
        super().__init__(family, kind)
        self._deadline = deadline
        self._reading = _Reading()

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:  # noqa: ANN401 -- whatever holds bytes
        """See ``socket.socket.recv_into``; readers of a file made from a socket come by here."""
        self.settimeout(self._deadline.left_s())
        return self._reading.add(super().recv_into(buffer, nbytes, flags))

    def sendall(self, data: Any, flags: int = 0) -> None:  # noqa: ANN401 -- as above
        """See ``socket.socket.sendall``, whose time-out is for all of it."""
        self.settimeout(self._deadline.left_s())
        super().sendall(data, flags)


def open_socket(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Return a connection to the first address of a name that answers. Blocks. Raises OSError."""
    failure: OSError = TimeoutError()
    for family, kind, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        found = _PlainSocket(family, kind, deadline)
        try:
            found.settimeout(min(deadline.left_s(), _CONNECT_S))
            found.connect(address)
        except OSError as error:
            found.close()
            failure = error
        else:
            return found
    raise failure


def tls_context(authority: str, deadline: Deadline) -> ssl.SSLContext:
    """Return what encrypts such a connection and checks who is at the other end.

    ``authority`` is the certificate of whom to trust, as PEM; empty: whom the system trusts. Raises ssl.SSLError for
    one that cannot be read.
    """

    class TlsSocket(ssl.SSLSocket):
        """As ``_PlainSocket``; made by the context, which takes no arguments for it."""

        def do_handshake(self, block: bool = False) -> None:
            self.settimeout(deadline.left_s())
            super().do_handshake(block)

        def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:  # noqa: ANN401 -- as above
            self.settimeout(deadline.left_s())
            return reading.add(super().recv_into(buffer, nbytes, flags))

        def sendall(self, data: Any, flags: int = 0) -> None:  # noqa: ANN401 -- as above
            self.settimeout(deadline.left_s())
            super().sendall(data, flags)

    reading = _Reading()
    context = ssl.create_default_context(cadata=authority or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = TlsSocket
    return context

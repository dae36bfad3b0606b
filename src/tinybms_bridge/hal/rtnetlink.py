"""Asking the kernel of its interfaces and addresses, by rtnetlink: rtnetlink(7), netlink(7).

No library fits: pyroute2 is large for a core that is to stay small, and the standard library reads none of it. What is
needed is a few questions and two dozen attributes.

Nothing is opened or changed. Every question blocks, at most for two seconds, since the kernel may hold its network
lock: never on the event loop. What is cut off or unknown in an answer is left out; reading one raises nothing.
"""

import socket
import struct
from collections.abc import Iterator

__all__ = ["GET_ADDRESS", "GET_LINK", "NEW_ADDRESS", "NEW_LINK", "answers", "ask", "ask_all", "attribute", "attributes"]

NEW_LINK, GET_LINK, NEW_ADDRESS, GET_ADDRESS = 16, 18, 20, 22

_ROUTE = 0
"""NETLINK_ROUTE."""
_HEADER, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")
_ERROR, _DONE = 2, 3
_REQUEST, _REQUEST_DUMP = 0x001, 0x301
_KIND = 0x3FFF
"""Of an attribute, without its flags."""
_LONGEST = 65_536
_TIMEOUT_S = 2.0


def ask(kind: int, body: bytes) -> bytes:
    """Return the answer to a question for one thing. Blocks; raises OSError."""
    with _asked(kind, _REQUEST, body) as kernel:
        return kernel.recv(_LONGEST)


def ask_all(kind: int, body: bytes) -> Iterator[bytes]:
    """Yield the answers to a question for all things of a kind. Blocks; raises OSError."""
    with _asked(kind, _REQUEST_DUMP, body) as kernel:
        more = True
        while more:
            data = kernel.recv(_LONGEST)
            yield data
            _, more = answers(data)


def answers(data: bytes) -> tuple[list[tuple[int, bytes]], bool]:
    """Return kind and body of each message in an answer, and whether another answer follows."""
    found, more, at = [], True, 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if kind in (_DONE, _ERROR) or length < _HEADER.size:
            more = False
            break
        found.append((kind, data[at + _HEADER.size : at + length]))
        at += _aligned(length)
    return found, more and bool(data)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield kind and value of each attribute that is there as a whole."""
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size or at + length > len(data):
            return
        yield kind & _KIND, data[at + _ATTRIBUTE.size : at + length]
        at += _aligned(length)


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute of a question."""
    length = _ATTRIBUTE.size + len(value)
    return (_ATTRIBUTE.pack(length, kind) + value).ljust(_aligned(length), b"\0")


def _asked(kind: int, flags: int, body: bytes) -> socket.socket:
    """Return a socket on which the kernel answers a question. Raises OSError."""
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _ROUTE)
    try:
        kernel.settimeout(_TIMEOUT_S)
        kernel.send(_HEADER.pack(_HEADER.size + len(body), kind, flags, 1, 0) + body)
    except OSError:
        kernel.close()
        raise
    return kernel


def _aligned(length: int) -> int:
    return (length + 3) & ~3

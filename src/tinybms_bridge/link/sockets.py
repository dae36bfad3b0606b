"""The core's Unix socket: made once, never beside another that is alive, and who is at the other end of one."""

import errno
import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tinybms_bridge.errors import LinkError
from tinybms_bridge.link.codec import printable

__all__ = ["ListeningSocket", "Peer", "address_of", "listen", "peer_of"]

_MODE = 0o660
"""Who may open it may do what an administrator may: the user and the group of the service."""
_BACKLOG = 16
_CREDENTIALS = struct.Struct("3i")
_PROBE_S = 2.0
_LONGEST_ADDRESS = 107
"""Bytes of a socket's address that the kernel takes: 108 with the zero at its end (unix(7))."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end of a socket."""

    pid: int
    """0 where the kernel does not tell it."""
    uid: int

    def __str__(self) -> str:
        return f"process {self.pid}" if self.pid else "another process"


def peer_of(connection: socket.socket) -> Peer:
    """Return who made the other end of a connected Unix socket."""
    try:
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return Peer(0, -1)
    pid, uid, _gid = _CREDENTIALS.unpack(data)
    return Peer(pid, uid)


@contextmanager
def address_of(path: Path) -> Iterator[str]:
    """Give the address of a socket at a path of any length: a long one goes through a descriptor of its directory.

    Raises OSError where the directory cannot be opened.
    """
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


class ListeningSocket:
    """A socket that listens at a path, until ``close`` takes it away again."""

    def __init__(self, path: Path, listener: socket.socket) -> None:
        self.path = path
        self.socket = listener
        found = path.stat()
        self._file = (found.st_dev, found.st_ino)

    def close(self) -> None:
        """Listen no more, and remove the file unless it is another's by now. Blocks; safe to call twice."""
        self.socket.close()
        with suppress(OSError):
            found = self.path.lstat()
            if (found.st_dev, found.st_ino) == self._file:
                self.path.unlink()


def listen(path: Path) -> ListeningSocket:
    """Return a socket that listens at ``path``, in place of one that nobody listens at any more. Blocks.

    Raises LinkError where another process listens, or where no socket can be made.
    """
    _make_way(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.setblocking(False)
        with address_of(path) as address:
            listener.bind(address)
        path.chmod(_MODE)  # before anybody can connect
        listener.listen(_BACKLOG)
        return ListeningSocket(path, listener)
    except OSError as error:
        listener.close()
        raise LinkError(f"no socket can be made at {path}: {error.strerror or error}", hint=_hint(path)) from error


def _hint(path: Path) -> str:
    if not path.parent.is_dir():
        return f"make the directory {path.parent}, or name another socket with --socket"
    return "name another socket with --socket"


def _make_way(path: Path) -> None:
    """Remove a socket that nobody listens at."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return  # nothing there; what else is wrong shows when the socket is made
    if not stat.S_ISSOCK(mode):
        raise LinkError(f"{path} is there and no socket, so it is left alone", hint="name another with --socket")
    holder = _holder(path)
    if holder:
        raise LinkError(
            f"{holder} listens at {path}: another bridge runs there",
            hint="end it, or name another socket with --socket",
        )
    with suppress(OSError):
        path.unlink()


def _holder(path: Path) -> str:
    """Return which process listens at a socket, or nothing."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.settimeout(_PROBE_S)
        try:
            with address_of(path) as address:
                probe.connect(address)
        except (ConnectionRefusedError, FileNotFoundError):
            return ""
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM):
                raise LinkError(f"{path} belongs to another user", hint="name another with --socket") from error
            return "another process"  # it is there, and too busy to say so
        return _named(peer_of(probe))


def _named(peer: Peer) -> str:
    try:
        words = Path(f"/proc/{peer.pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ")
    except OSError:
        return str(peer)
    return f"{peer} ({printable(os.fsdecode(words))})" if words else str(peer)

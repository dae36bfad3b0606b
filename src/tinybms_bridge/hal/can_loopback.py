"""python-can's ``udp_multicast`` on this machine alone: frames travel over the loopback interface and nowhere else.

python-can's own class joins the group on the default network interface, which puts frames on the local network and
fails on a machine without one. The datagrams here have the same format.
"""

import contextlib
import ipaddress
import socket
import time

import can
from can.interfaces.udp_multicast.utils import pack_message, unpack_message
from can.typechecking import CanFilters

__all__ = ["LoopbackBus"]

_GROUP = "239.74.163.2"
_PORT = 43113
_LOOPBACK = "127.0.0.1"
_IP_MULTICAST_ALL = 49  # Linux; the socket module does not name it
_LARGEST_DATAGRAM = 4096


class LoopbackBus(can.BusABC):
    """A CAN bus between the processes of this machine.

    Raises ValueError for a channel that is no IPv4 multicast group, OSError when the group cannot be joined.
    """

    def __init__(
        self,
        channel: str = _GROUP,
        *,
        port: int = _PORT,
        receive_own_messages: bool = False,
        can_filters: CanFilters | None = None,
    ) -> None:
        group = ipaddress.ip_address(channel)
        if group.version != 4 or not group.is_multicast:
            raise ValueError(f"{channel} is not an IPv4 multicast address such as {_GROUP}")
        super().__init__(channel, can_filters=can_filters)
        self.channel_info = f"udp_multicast {channel} port {port} on the loopback interface"
        self._target = (channel, port)
        with contextlib.ExitStack() as undo:
            self._receiver = undo.enter_context(_receiver(channel, port))
            self._sender = undo.enter_context(_sender())
            self._unheard = None if receive_own_messages else self._sender.getsockname()
            undo.pop_all()

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        """Send to every other member of the group on this machine; never waits, whatever ``timeout`` is."""
        del timeout
        try:
            self._sender.sendto(pack_message(msg), self._target)
        except OSError as error:
            raise can.CanOperationError(f"cannot send: {error.strerror}", error.errno) from error

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        """Return the next frame of another member, or None; the second item says that nothing was filtered yet."""
        try:
            self._receiver.settimeout(timeout)
            data, address = self._receiver.recvfrom(_LARGEST_DATAGRAM)
        except (TimeoutError, BlockingIOError):
            return None, False
        except OSError as error:
            raise can.CanOperationError(f"cannot receive: {error.strerror}", error.errno) from error
        return (None if address == self._unheard else _message(data, f"{address[0]}:{address[1]}")), False

    def shutdown(self) -> None:
        """Leave the group and close the sockets; may be called again."""
        super().shutdown()
        self._receiver.close()
        self._sender.close()


def _receiver(group: str, port: int) -> socket.socket:
    """Return a socket that hears the group on the loopback interface only, beside others on the same port."""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            receiver.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        receiver.bind((group, port))
        membership = socket.inet_aton(group) + socket.inet_aton(_LOOPBACK)
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    except OSError:
        receiver.close()
        raise
    return receiver


def _sender() -> socket.socket:
    """Return a socket with an address of its own, so that a bus can tell its own frames from others'."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sender.bind((_LOOPBACK, 0))
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(_LOOPBACK))
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
    except OSError:
        sender.close()
        raise
    return sender


def _message(data: bytes, sender: str) -> can.Message | None:
    try:
        return unpack_message(data, replace={"timestamp": time.time(), "channel": sender}, check=True)
    except Exception:  # noqa: BLE001 - any process may send any bytes, and the decoder documents no set of errors
        return None

"""Port 5353, beside Avahi and whoever else has it: packets to and from the links, each by its own interface.

One socket for IPv4 and one for IPv6 serve all links. The kernel tells of each packet the interface and to whom it was
sent (IP_PKTINFO), and is told by which interface one leaves: no right is needed for that, and nothing of one network
gets into another.
"""

import asyncio
import ipaddress
import logging
import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress

from tinybms_bridge.hal.interfaces import Address
from tinybms_bridge.services.mdns.links import NetworkLink
from tinybms_bridge.services.mdns.responder import MDNS_PORT, Endpoint

__all__ = ["MulticastSockets"]

log = logging.getLogger(__name__)

_GROUP4, _GROUP6 = "224.0.0.251", "ff02::fb"
_IP_PKTINFO, _IP_MULTICAST_ALL, _IPV6_MULTICAST_ALL = 8, 49, 29
"""Linux; the standard library has no names for them."""
_INFO4, _INFO6, _MEMBER4, _MEMBER6 = (
    struct.Struct("=I4s4s"),
    struct.Struct("=16sI"),
    struct.Struct("=4s4sI"),
    struct.Struct("=16sI"),
)
"""struct in_pktinfo, in6_pktinfo, ip_mreqn, ipv6_mreq."""
_LONGEST = 9000
"""RFC 6762, section 17."""
_ANCILLARY = 256
_HOPS = 255
"""RFC 6762, section 11: only a neighbour can send with that."""
_AT_ONCE = 20
"""Packets that are read before others on the event loop have their turn."""


class MulticastSockets:
    """The sockets of a responder.

    Args:
        receive: Called with the index of the interface, the packet, and who sent it.

    """

    def __init__(self, receive: Callable[[int, bytes, Endpoint], None]) -> None:
        self.failures = 0
        """Packets that could not be sent."""
        self._receive = receive
        self._links: dict[int, NetworkLink] = {}
        self._joined: set[tuple[int, int]] = set()
        self._sockets: dict[int, socket.socket] = {}

    def open(self) -> None:
        """Have the port. Raises OSError where IPv4 cannot have it; IPv6 is done without where there is none."""
        with ExitStack() as opened:
            self._sockets = {4: opened.enter_context(_open4())}
            with suppress(OSError):
                self._sockets[6] = opened.enter_context(_open6())
            for each in self._sockets.values():
                asyncio.get_running_loop().add_reader(each, self._read, each)
            opened.pop_all()

    def close(self) -> None:
        """Give the port back; safe to call twice."""
        for each in self._sockets.values():
            asyncio.get_running_loop().remove_reader(each)
            each.close()
        self._sockets, self._joined, self._links = {}, set(), {}

    def follow(self, links: Iterable[NetworkLink]) -> None:
        """Hear what is sent to all on these links, and no longer on others."""
        self._links = {link.index: link for link in links}
        wanted = {(4, link.index) for link in self._links.values() if link.source is not None}
        wanted |= {(6, link.index) for link in self._links.values() if link.ipv6}
        for version, index in self._joined - wanted:
            with suppress(OSError):  # the interface is gone, and the membership with it
                self._member(version, index, join=False)
        self._joined &= wanted
        for version, index in wanted - self._joined:
            try:
                self._member(version, index, join=True)
                self._joined.add((version, index))
            except OSError as error:  # tried again with the next look
                log.debug("interface %d, IPv%d: %s", index, version, error)

    def send(self, link: NetworkLink, data: bytes, peer: Endpoint | None) -> None:
        """Send a packet to all on a link, or to one machine there; what cannot be sent is lost, as packets are."""
        if link.source is not None and (peer is None or peer.address.version == 4):
            by = (socket.IPPROTO_IP, _IP_PKTINFO, _INFO4.pack(link.index, link.source.packed, b"\0" * 4))
            self._send(4, data, by, (_GROUP4, MDNS_PORT) if peer is None else (str(peer.address), peer.port))
        if link.ipv6 and (peer is None or peer.address.version == 6):
            by = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _INFO6.pack(b"\0" * 16, link.index))
            host, port = (_GROUP6, MDNS_PORT) if peer is None else (str(peer.address), peer.port)
            self._send(6, data, by, (host, port, 0, link.index))

    def _send(self, version: int, data: bytes, by: tuple[int, int, bytes], to: tuple[str | int, ...]) -> None:
        if version not in self._sockets:
            return
        try:
            self._sockets[version].sendmsg([data], [by], 0, to)
        except OSError as error:
            self.failures += 1
            log.debug("to %s: %s", to, error)

    def _read(self, receiver: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                data, ancillary, flags, sender = receiver.recvmsg(_LONGEST, _ANCILLARY)
            except OSError:  # nothing more, or what a neighbour answered to a packet of ours
                return
            found = _destination(ancillary)
            if found is None or flags & socket.MSG_TRUNC:
                continue
            index, to = found
            link = self._links.get(index)
            peer = Endpoint(ipaddress.ip_address(sender[0].partition("%")[0]), sender[1])
            if link is not None and (to.is_multicast or link.is_neighbour(peer.address)):
                self._receive(index, data, peer)

    def _member(self, version: int, index: int, *, join: bool) -> None:
        member = self._sockets.get(version)
        if member is None:
            return
        if version == 4:
            group = _MEMBER4.pack(socket.inet_aton(_GROUP4), b"\0" * 4, index)
            option = socket.IP_ADD_MEMBERSHIP if join else socket.IP_DROP_MEMBERSHIP
            level = socket.IPPROTO_IP
        else:
            group = _MEMBER6.pack(socket.inet_pton(socket.AF_INET6, _GROUP6), index)
            option = socket.IPV6_JOIN_GROUP if join else socket.IPV6_LEAVE_GROUP
            level = socket.IPPROTO_IPV6
        member.setsockopt(level, option, group)


def _open4() -> socket.socket:
    return _open(
        socket.AF_INET,
        "0.0.0.0",  # noqa: S104 -- what is sent to a group is heard there alone
        [
            (socket.IPPROTO_IP, _IP_PKTINFO, 1),
            (socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0),
            (socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, _HOPS),
            (socket.IPPROTO_IP, socket.IP_TTL, _HOPS),
        ],
    )


def _open6() -> socket.socket:
    return _open(
        socket.AF_INET6,
        "::",
        [
            (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1),
            (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1),
            (socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, _HOPS),
            (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, _HOPS),
        ],
    )


def _open(family: socket.AddressFamily, address: str, options: list[tuple[int, int, int]]) -> socket.socket:
    found = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):  # as Avahi does, and others beside it
            found.setsockopt(socket.SOL_SOCKET, option, 1)
        for level, option, value in options:
            found.setsockopt(level, option, value)
        found.bind((address, MDNS_PORT))
    except OSError:
        found.close()
        raise
    return found


def _destination(ancillary: Iterable[tuple[int, int, bytes]]) -> tuple[int, Address] | None:
    """Return the interface by which a packet came, and to which address it was sent."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO) and len(data) >= _INFO4.size:
            index, _, to = _INFO4.unpack_from(data)
            return index, ipaddress.IPv4Address(to)
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO) and len(data) >= _INFO6.size:
            to, index = _INFO6.unpack_from(data)
            return index, ipaddress.IPv6Address(to)
    return None

"""Announces the web server for as long as it can be reached, on the links that there are."""

import logging
from collections.abc import Callable, Iterable, Sequence

from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.blocking import RunBlocking
from tinybms_bridge.hal.clock import Clock, Timer, until_tick_s
from tinybms_bridge.hal.interfaces import Address, NetworkInterface, network_interfaces
from tinybms_bridge.hal.system_errors import error_words
from tinybms_bridge.services.mdns.links import NetworkLink, links_of
from tinybms_bridge.services.mdns.options import MdnsOptions
from tinybms_bridge.services.mdns.records import OWN_SERVICE, Subject
from tinybms_bridge.services.mdns.responder import Endpoint, MdnsResponder
from tinybms_bridge.services.mdns.sockets import MulticastSockets
from tinybms_bridge.services.ports import Pages
from tinybms_bridge.services.standing import ServiceStanding
from tinybms_bridge.words import Message, message

__all__ = ["MdnsService"]

log = logging.getLogger(__name__)

LOOK_S = 5.0
"""A cable is plugged in by hand: nobody waits for less."""
WAIT_S = 1.0
"""How soon a web server that begins to listen is announced."""
ASLEEP_S = 30.0
"""After so long without a look the machine was suspended: the network may be another one."""
_TEST_MS = 3000
_MORE_S = 0.5
_USUAL_PORTS = {False: 80, True: 443}
"""Of HTTP and HTTPS: no address names them."""


class MdnsService:
    """Announces one bridge.

    Args:
        options: Its names.
        standing: How it stands.
        clock: Source of time; its ages count on while the machine is suspended.
        run_blocking: Runs what reads the interfaces.
        pages: Returns where the web server listens; None while it does not.
        read: Returns the interfaces of this machine. Blocks; may raise OSError.
        choose: Returns the links on which a server that listens at an address is announced.
        look_s: How soon an interface that comes or goes is taken up.

    """

    def __init__(
        self,
        options: MdnsOptions,
        standing: ServiceStanding,
        clock: Clock,
        run_blocking: RunBlocking,
        pages: Callable[[], Pages | None],
        *,
        read: Callable[[], Sequence[NetworkInterface]] = network_interfaces,
        choose: Callable[[Iterable[NetworkInterface], str], Sequence[NetworkLink]] = links_of,
        look_s: float = LOOK_S,
    ) -> None:
        self._options = options
        self._standing = standing
        self._clock = clock
        self._run_blocking = run_blocking
        self._pages = pages
        self._read = read
        self._choose = choose
        self._look_s = look_s
        self._responder: MdnsResponder | None = None
        self._sockets: MulticastSockets | None = None
        self._subject: Subject | None = None
        self._timer: Timer | None = None
        self._looked_s = float("inf")
        self._told_host = options.host

    async def run(self) -> None:
        """Announce until cancelled, and take it back then."""
        try:
            while True:
                await self._look()
                wait_s = WAIT_S if self._responder is None else self._look_s
                await self._clock.sleep(until_tick_s(self._clock, wait_s))
        finally:
            self._end()

    async def test(self) -> Message:
        """Look oneself up as another machine would. Raises LinkError where nothing is found."""
        responder = self._responder
        links = () if responder is None else responder.announced
        if responder is None or not links:
            raise LinkError(message("mdns.not_announced"))
        host = f"{responder.host}.local"
        interfaces: list[str | int] = [str(each.source) for each in links if each.source is not None]
        interfaces += [each.index for each in links if each.ipv6]
        info = AsyncServiceInfo(OWN_SERVICE, f"{responder.instance}.{OWN_SERVICE}")
        try:
            other = AsyncZeroconf(interfaces=interfaces)
            try:
                found = await info.async_request(other.zeroconf, _TEST_MS)
                await self._clock.sleep(_MORE_S)  # the first address is enough for it; there may be others
                info.load_from_cache(other.zeroconf)
            finally:
                await other.async_close()
        except OSError as error:
            raise LinkError(message("mdns.no_port", reason=error_words(error))) from error
        except RuntimeError as error:  # an interface went away meanwhile
            raise LinkError(message("mdns.not_announced")) from error
        if not found or (info.server or "").rstrip(".").lower() != host.lower():
            raise LinkError(message("mdns.not_seen", host=host), hint=message("mdns.open_firewall"))
        return message("mdns.seen", host=host, addresses=info.parsed_addresses(), port=info.port)

    async def _look(self) -> None:
        """Take up where the web server listens and which links there are."""
        now_s = self._clock.monotonic()
        asleep, self._looked_s = now_s - self._looked_s > ASLEEP_S, now_s
        pages = self._pages()
        if pages is None:
            self._end()
            self._standing.starting("")
            return
        try:
            interfaces = await self._run_blocking(self._read)
            self._open()
        except OSError as error:
            self._end()
            self._standing.trouble(message("mdns.no_port", reason=error_words(error)))
            return
        self._begin(pages)
        links = self._choose(interfaces, pages.listen_address)
        own = [each.address for interface in interfaces for each in interface.addresses]
        self._follow(links, own, afresh=asleep)

    def _open(self) -> None:
        """Have the port. Raises OSError."""
        if self._sockets is None:
            sockets = MulticastSockets(self._receive)
            sockets.open()
            self._sockets = sockets

    def _begin(self, pages: Pages) -> None:
        """Announce what there is now: from the beginning where that is something else than before."""
        wanted = self._options
        subject = Subject(wanted.host, wanted.instance, pages.port, pages.encrypted, wanted.version)
        if self._responder is None or subject != self._subject:
            if self._responder is not None:
                self._responder.leave()
            assert self._sockets is not None
            self._responder, self._subject = MdnsResponder(subject, self._sockets.send), subject
            self._standing.starting(self._url(subject.host))

    def _follow(self, links: Sequence[NetworkLink], own: Iterable[Address], *, afresh: bool) -> None:
        assert self._sockets is not None
        assert self._responder is not None
        self._sockets.follow(links)
        self._responder.follow(links, own, self._clock.monotonic(), afresh=afresh)
        if not links:
            self._standing.trouble(message("mdns.no_network"))
        self._act()

    def _receive(self, index: int, data: bytes, peer: Endpoint) -> None:
        if self._responder is not None and self._responder.receive(index, data, peer, self._clock.monotonic()):
            self._act()

    def _act(self) -> None:
        """Do what is due, tell how it stands, and come back in time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        responder, now_s = self._responder, self._clock.monotonic()
        if responder is None:
            return
        responder.act(now_s)
        self._tell(responder, now_s)
        if responder.next_s is not None:
            self._timer = self._clock.call_later(max(0.0, responder.next_s - now_s), self._act)

    def _tell(self, responder: MdnsResponder, now_s: float) -> None:
        self._standing.counters["conflicts"] = responder.conflicts
        if self._sockets is not None:
            self._standing.counters["send_errors"] = self._sockets.failures
        if responder.contested(now_s):
            self._standing.trouble(message("mdns.contested", host=f"{self._options.host}.local"))
        elif responder.announced:
            self._tell_name(responder.host)
            self._standing.working(self._url(responder.host))

    def _tell_name(self, host: str) -> None:
        if host != self._told_host:
            self._told_host = host
            wanted = self._options.host
            if host == wanted:
                log.info("this bridge is %s.local again", host)
            else:
                log.warning("%s.local is another machine: this bridge is %s.local", wanted, host)

    def _url(self, host: str) -> str:
        assert self._subject is not None
        port = self._subject.port
        shown = "" if port == _USUAL_PORTS[self._subject.encrypted] else f":{port}"
        return f"http{'s' if self._subject.encrypted else ''}://{host}.local{shown}/"

    def _end(self) -> None:
        """Take back what was announced and give the port back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._responder is not None:
            self._responder.leave()
        if self._sockets is not None:
            self._sockets.close()
        self._responder = self._sockets = self._subject = None

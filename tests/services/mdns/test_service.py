"""The service around the responder: when it announces, what it says of itself, and that it recovers alone."""

import asyncio
import errno
import ipaddress
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from typing import Any

import pytest
from zeroconf import DNSAddress, DNSIncoming, DNSOutgoing

from tinybms_bridge.errors import LinkError
from tinybms_bridge.hal.blocking import in_place
from tinybms_bridge.hal.interfaces import InterfaceAddress, NetworkInterface
from tinybms_bridge.link.state import ServiceCondition, ServiceState
from tinybms_bridge.services.mdns.links import NetworkLink
from tinybms_bridge.services.mdns.options import MdnsOptions
from tinybms_bridge.services.mdns.responder import Endpoint
from tinybms_bridge.services.mdns.service import ASLEEP_S, MdnsService
from tinybms_bridge.services.ports import Pages
from tinybms_bridge.services.standing import ServiceStanding
from tinybms_lab.testing.fake_clock import FakeClock


class FakeSockets:
    """Stands in for port 5353 and remembers what was sent."""

    made: "list[FakeSockets]"
    refuses: OSError | None

    def __init__(self, receive: Callable[[int, bytes, Endpoint], bool]) -> None:
        self.receive = receive
        self.failures = 0
        self.links: tuple[NetworkLink, ...] = ()
        self.sent: list[bytes] = []
        self.closed = False

    def open(self) -> None:
        """Have the port, or not."""
        if (refusal := type(self).refuses) is not None:
            raise refusal
        type(self).made.append(self)

    def follow(self, links: Iterable[NetworkLink]) -> None:
        """Hear these."""
        self.links = tuple(links)

    def send(self, _link: NetworkLink, data: bytes, _peer: Endpoint | None) -> None:
        """Remember."""
        assert not self.closed
        self.sent.append(data)

    def close(self) -> None:
        """Give it back."""
        self.closed = True


def interface(name: str = "eth0", index: int = 2, address: str = "10.0.0.1") -> NetworkInterface:
    """Return an interface that leads to neighbours."""
    return NetworkInterface(name, index, addresses=(InterfaceAddress(ipaddress.ip_address(address), 24),))


class Site:
    """A service on a clock of its own, with a web server and interfaces that come and go."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.standing = ServiceStanding("mdns", clock)
        self.pages: Pages | None = Pages("", 8080, encrypted=False)
        self.interfaces: list[NetworkInterface] | OSError = [interface()]
        self.service: MdnsService
        self.task: asyncio.Task[None] | None = None

    def start(self, host: str = "tinybms-bridge") -> None:
        """Begin to announce."""
        options = MdnsOptions(host, "TinyBMS bridge (House)", "1.0")
        self.service = MdnsService(options, self.standing, self.clock, in_place, lambda: self.pages, read=self._read)
        self.task = asyncio.create_task(self.service.run())

    async def end(self) -> None:
        """Stop as a restart of the part does."""
        task, self.task = self.task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def run(self, seconds: float) -> ServiceState:
        """Let time pass and return how it stands then."""
        await self.clock.advance(seconds)
        assert self.task is None or not self.task.done() or self.task.result() is None
        return self.standing.state()

    def _read(self) -> list[NetworkInterface]:
        if isinstance(self.interfaces, OSError):
            raise self.interfaces
        return self.interfaces

    @property
    def sockets(self) -> FakeSockets:
        """The last that were opened."""
        return FakeSockets.made[-1]

    def told(self, sockets: FakeSockets | None = None) -> list[Any]:
        """Return the records that were told, in order."""
        packets = [DNSIncoming(data) for data in (sockets or self.sockets).sent]
        return [record for packet in packets if packet.is_response() for record in packet.answers()]


@pytest.fixture
async def site(clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> AsyncIterator[Site]:
    """A site whose service ends with the test."""
    caplog.set_level(logging.INFO, "tinybms_bridge")
    monkeypatch.setattr("tinybms_bridge.services.mdns.service.MulticastSockets", FakeSockets)
    FakeSockets.made, FakeSockets.refuses = [], None
    site = Site(clock)
    yield site
    await site.end()


def warnings(caplog: Any) -> list[str]:
    """Return what was told as worth a look."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_web_server_that_listens_is_announced_with_its_real_port(site: Site) -> None:
    """And the address is what a person can type."""
    site.pages = Pages("", 8081, encrypted=False)
    site.start()
    starting = await site.run(0.5)
    assert (starting.condition, starting.where) == (ServiceCondition.STARTING, "http://tinybms-bridge.local:8081/")
    state = await site.run(4.0)
    assert (state.condition, state.where) == (ServiceCondition.WORKING, "http://tinybms-bridge.local:8081/")


@pytest.mark.parametrize(
    ("pages", "where"),
    [
        (Pages("", 80, encrypted=False), "http://tinybms-bridge.local/"),
        (Pages("", 443, encrypted=True), "https://tinybms-bridge.local/"),
        (Pages("", 443, encrypted=False), "http://tinybms-bridge.local:443/"),
        (Pages("", 8443, encrypted=True), "https://tinybms-bridge.local:8443/"),
    ],
)
async def test_the_address_is_shown_as_it_is_typed(site: Site, pages: Pages, where: str) -> None:
    """Without the usual port, with HTTPS where the server speaks that."""
    site.pages = pages
    site.start()
    assert (await site.run(5.0)).where == where


async def test_before_the_web_server_listens_the_port_is_left_alone(site: Site, caplog: Any) -> None:
    """It may be off for good, or wait for its own port."""
    site.pages = None
    site.start()
    state = await site.run(60.0)
    assert FakeSockets.made == []
    assert state.condition is ServiceCondition.STARTING
    site.pages = Pages("", 8080, encrypted=False)
    assert (await site.run(6.0)).condition is ServiceCondition.WORKING
    assert warnings(caplog) == []


async def test_a_web_server_that_ends_is_taken_back(site: Site) -> None:
    """Nobody is sent to pages that are gone; when they come back on another port, that is announced."""
    site.start()
    await site.run(5.0)
    sockets, site.pages = site.sockets, None
    await site.run(6.0)
    assert sockets.closed
    assert site.told(sockets)[-1].ttl == 0
    site.pages = Pages("", 8090, encrypted=False)
    assert (await site.run(6.0)).where == "http://tinybms-bridge.local:8090/"


async def test_another_port_is_announced_in_place_of_the_old_one(site: Site) -> None:
    """The web server was restarted: whoever looks a service up gets the port that it has now."""
    site.start()
    await site.run(5.0)
    site.pages = Pages("", 9000, encrypted=False)
    state = await site.run(10.0)
    ports = [record.port for record in site.told() if hasattr(record, "port") and record.ttl]
    assert state.where == "http://tinybms-bridge.local:9000/"
    assert ports[-1] == 9000
    assert len(FakeSockets.made) == 1


async def test_without_any_network_it_waits_and_says_so_once(site: Site, caplog: Any) -> None:
    """A boat without a network: one line in the log, however long; it recovers alone when a cable is plugged in."""
    site.interfaces = []
    site.start()
    state = await site.run(600.0)
    assert state.condition is ServiceCondition.TROUBLE
    assert state.message is not None
    assert state.message.code == "mdns.no_network"
    assert len(warnings(caplog)) == 1
    site.interfaces = [interface()]
    state = await site.run(8.0)
    assert (state.condition, state.message) == (ServiceCondition.WORKING, None)
    assert state.last_error is not None
    assert len(warnings(caplog)) == 1


async def test_interfaces_that_come_and_go_are_followed(site: Site, caplog: Any) -> None:
    """A USB stick for Wi-Fi that is pulled and put back has another number each time."""
    site.start()
    await site.run(5.0)
    for index in range(3, 8):
        site.interfaces = [interface(), interface("wlan0", index, "192.168.4.1")]
        assert (await site.run(8.0)).condition is ServiceCondition.WORKING
        assert [(each.name, each.index) for each in site.sockets.links] == [("eth0", 2), ("wlan0", index)]
        site.interfaces = [interface()]
        assert (await site.run(8.0)).condition is ServiceCondition.WORKING
    assert len(FakeSockets.made) == 1
    assert warnings(caplog) == []


@pytest.mark.parametrize("number", [errno.EADDRINUSE, errno.EACCES, errno.EMFILE])
async def test_a_port_that_cannot_be_had_is_tried_again(site: Site, caplog: Any, number: int) -> None:
    """Another program has it for itself alone: told once, and had as soon as it is free."""
    FakeSockets.refuses = OSError(number, "no")
    site.start()
    state = await site.run(120.0)
    assert state.condition is ServiceCondition.TROUBLE
    assert state.message is not None
    assert state.message.code == "mdns.no_port"
    assert len(warnings(caplog)) == 1
    FakeSockets.refuses = None
    assert (await site.run(10.0)).condition is ServiceCondition.WORKING


async def test_a_kernel_that_does_not_answer_is_asked_again(site: Site) -> None:
    """Its network lock is held for long now and then."""
    site.interfaces = OSError(errno.EAGAIN, "timed out")
    site.start()
    assert (await site.run(10.0)).condition is ServiceCondition.TROUBLE
    site.interfaces = [interface()]
    assert (await site.run(10.0)).condition is ServiceCondition.WORKING


async def test_a_machine_that_wakes_up_looks_whether_it_still_has_its_name(site: Site) -> None:
    """Another network may be around it: the name is looked for and asked for before it is told again."""
    site.start()
    await site.run(20.0)
    sent = len(site.sockets.sent)
    site.clock.suspend(ASLEEP_S * 100)
    await site.run(8.0)
    first, *others = [DNSIncoming(data) for data in site.sockets.sent[sent:]]
    assert first.is_query()
    assert any(packet.is_probe() for packet in others)
    assert others[-1].is_response()


async def test_a_name_that_is_taken_is_told_once_with_the_one_in_use(site: Site, caplog: Any) -> None:
    """In the log and where the address is shown; a person who looks for the page finds it."""
    site.start()
    await site.run(0.2)
    stranger = DNSAddress("tinybms-bridge.local.", 1, 0x8001, 120, bytes([10, 0, 0, 99]))
    out = DNSOutgoing(0x8400)
    out.add_answer_at_time(stranger, 0)
    site.sockets.receive(2, out.packets()[0], Endpoint(ipaddress.ip_address("10.0.0.99")))
    state = await site.run(60.0)
    assert state.where == "http://tinybms-bridge-2.local:8080/"
    assert state.condition is ServiceCondition.WORKING
    assert state.counters["conflicts"] == 1
    assert warnings(caplog) == ["tinybms-bridge.local is another machine: this bridge is tinybms-bridge-2.local"]


async def test_a_stranger_that_claims_every_name_is_told(site: Site) -> None:
    """The state says so; nothing else suffers, and it ends with the stranger."""
    site.start()
    for _ in range(600):
        await site.run(0.1)
        for packet in map(DNSIncoming, site.sockets.sent):
            if packet.is_query():
                out = DNSOutgoing(0x8400)
                host = packet.questions[0].name
                out.add_answer_at_time(DNSAddress(host, 1, 0x8001, 120, bytes([10, 0, 0, 99])), 0)
                site.sockets.receive(2, out.packets()[0], Endpoint(ipaddress.ip_address("10.0.0.99")))
        del site.sockets.sent[:]
    state = site.standing.state()
    assert state.condition is ServiceCondition.TROUBLE
    assert state.message is not None
    assert state.message.code == "mdns.contested"
    assert (await site.run(60.0)).condition is ServiceCondition.WORKING


async def test_it_says_goodbye_when_it_ends(site: Site) -> None:
    """Switched off or restarted: browsers need not wait for two minutes to know."""
    site.start()
    await site.run(5.0)
    await site.end()
    assert site.sockets.closed
    assert site.told()[-1].ttl == 0


async def test_between_questions_it_looks_at_the_interfaces_only(site: Site) -> None:
    """An hour costs 720 looks, and not one packet."""
    site.start()
    await site.run(10.0)
    sent = len(site.sockets.sent)
    await site.clock.advance(3600.0)
    assert len(site.sockets.sent) == sent


async def test_nothing_can_be_tried_before_anything_is_announced(site: Site) -> None:
    """The reason is told, not a time-out."""
    site.interfaces = []
    site.start()
    await site.run(5.0)
    with pytest.raises(LinkError, match="nothing is announced"):
        await site.service.test()

"""A local network without sockets and without time of its own: responders, and whoever else speaks there."""

import heapq
import ipaddress
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from zeroconf import DNSIncoming, DNSOutgoing, DNSQuestion, DNSRecord

from tinybms_bridge.hal.interfaces import Address
from tinybms_bridge.services.mdns.links import NetworkLink
from tinybms_bridge.services.mdns.records import ANY, Subject, address_of
from tinybms_bridge.services.mdns.responder import Endpoint, MdnsResponder

Packet = tuple[float, "Machine", bytes, Endpoint | None]


@dataclass(eq=False)
class Machine:
    """One machine on one network: its address, and how it takes up a packet."""

    address: Address
    take: Callable[[bytes, Endpoint], None]
    on: bool = True


@dataclass
class Network:
    """What is sent to all reaches all machines that are on, the sender too, a moment later."""

    now_s: float = 1000.0
    delay_s: float = 0.001
    machines: list[Machine] = field(default_factory=list)
    bridges: "list[Bridge]" = field(default_factory=list)
    log: list[Packet] = field(default_factory=list)
    _way: list[tuple[float, int, Machine, bytes, Endpoint]] = field(default_factory=list)
    _order: "itertools.count[int]" = field(default_factory=itertools.count)

    def send(self, sender: Machine, data: bytes, peer: Endpoint | None, port: int = 5353) -> None:
        """Send a packet to all, or to one machine."""
        self.log.append((self.now_s, sender, data, peer))
        for machine in self.machines:
            if sender.on and (peer is None or machine.address == peer.address):
                arrival = (self.now_s + self.delay_s, next(self._order), machine, data, Endpoint(sender.address, port))
                heapq.heappush(self._way, arrival)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end_s = self.now_s + seconds
        while True:
            moments = [bridge.responder.next_s for bridge in self.bridges if bridge.on]
            due_s = min((moment for moment in moments if moment is not None), default=float("inf"))
            arrival_s = self._way[0][0] if self._way else float("inf")
            if min(due_s, arrival_s) > end_s:
                break
            if arrival_s <= due_s:
                self.now_s = max(self.now_s, arrival_s)
                _, _, machine, data, peer = heapq.heappop(self._way)
                if machine.on:
                    machine.take(data, peer)
            else:
                self.now_s = max(self.now_s, due_s)
                for bridge in self.bridges:
                    if bridge.on:
                        bridge.responder.act(self.now_s)
        self.now_s = end_s

    def records(self, sender: "Bridge", since_s: float = 0.0) -> list[DNSRecord]:
        """Return the records that a bridge has told in answers, in order."""
        packets = (data for at_s, machine, data, _ in self.log if machine in sender.machines and at_s >= since_s)
        return [record for data in packets if DNSIncoming(data).is_response() for record in DNSIncoming(data).answers()]

    def ask(self, *questions: tuple[str, int]) -> list[DNSRecord]:
        """Ask as another machine does, and return what it hears within the next second."""
        return Asker(self).ask(*questions)

    def addresses(self, label: str) -> set[str]:
        """Return the addresses that the network gives for a name."""
        heard = self.ask((f"{label}.local.", ANY))
        return {str(address_of(each)) for each in heard if each.name == f"{label}.local." and address_of(each)}

    def bridge(self, address: str, **options: Any) -> "Bridge":
        """Return a bridge of this network."""
        return Bridge((self, address), **options)

    def asker(self, address: str = "10.0.0.250", port: int = 5353) -> "Asker":
        """Return a machine that asks."""
        return Asker(self, address, port)


class Asker:
    """A machine that asks and hears."""

    def __init__(self, network: Network, address: str = "10.0.0.250", port: int = 5353) -> None:
        self.network = network
        self.heard: list[bytes] = []
        self.port = port
        self.machine = Machine(ipaddress.ip_address(address), lambda data, _peer: self.heard.append(data))
        network.machines.append(self.machine)

    def ask(self, *questions: tuple[str, int], unicast: bool = False) -> list[DNSRecord]:
        """Send questions and return the records of all answers within a second."""
        out = DNSOutgoing(0)
        for name, kind in questions:
            question = DNSQuestion(name, kind, 1)
            question.unicast = unicast
            out.add_question(question)
        self.tell(out)
        self.network.run(1.0)
        return self.records()

    def tell(self, out: DNSOutgoing) -> None:
        """Send any packet to all."""
        self.heard = []
        for data in out.packets():
            self.network.send(self.machine, data, None, self.port)

    def records(self) -> list[DNSRecord]:
        """Return the records of the answers that were heard since the last packet."""
        packets = [DNSIncoming(data) for data in self.heard]
        return [record for packet in packets if packet.is_response() for record in packet.answers()]


class Bridge:
    """A responder on one or more networks, with an address on each."""

    def __init__(
        self,
        *places: tuple[Network, str],
        host: str = "tinybms-bridge",
        name: str = "TinyBMS bridge (TinyBMS)",
        port: int = 8080,
        seed: int = 1,
        begin: bool = True,
    ) -> None:
        self.places = places
        self.on = True
        self.subject = Subject(host, name, port, version="1.0")
        self.responder = MdnsResponder(self.subject, self._send, random.Random(seed).uniform)
        self.links: list[NetworkLink] = []
        self.machines: list[Machine] = []
        for index, (network, address) in enumerate(places, start=2):
            self.links.append(link(address, index=index))
            self.machines.append(Machine(ipaddress.ip_address(address), self._taker(index)))
            network.machines.append(self.machines[-1])
            network.bridges.append(self)
        if begin:
            self.begin()

    @property
    def network(self) -> Network:
        """The first of its networks."""
        return self.places[0][0]

    def begin(self, *others: str) -> None:
        """Take up its links; ``others`` are more addresses of its machine."""
        own = [machine.address for machine in self.machines] + [ipaddress.ip_address(each) for each in others]
        self.responder.follow(self.links, own, self.network.now_s)

    def leave(self) -> None:
        """End in order."""
        self.responder.leave()
        self.on = False
        for machine in self.machines:
            machine.on = False

    def die(self) -> None:
        """End without a word."""
        self.on = False
        for machine in self.machines:
            machine.on = False

    def _taker(self, index: int) -> Callable[[bytes, Endpoint], None]:
        def take(data: bytes, peer: Endpoint) -> None:
            if self.on:
                self.responder.receive(index, data, peer, self.places[index - 2][0].now_s)

        return take

    def _send(self, on: NetworkLink, data: bytes, peer: Endpoint | None) -> None:
        at = next(number for number, each in enumerate(self.links) if each.index == on.index)
        self.places[at][0].send(self.machines[at], data, peer)


def link(*addresses: str, index: int = 2) -> NetworkLink:
    """Return a link with these addresses."""
    told = tuple(ipaddress.ip_address(each) for each in addresses)
    source = next((each for each in told if isinstance(each, ipaddress.IPv4Address)), None)
    networks = (ipaddress.ip_network(f"{source}/24", strict=False),) if source else ()
    return NetworkLink(f"eth{index}", index, told, source, networks=networks)


@pytest.fixture
def network() -> Network:
    """An empty network."""
    return Network()


@pytest.fixture
def on_both() -> Callable[..., Bridge]:
    """Return what makes a bridge on several networks, of which each is a pair with its address there."""
    return Bridge


@pytest.fixture
def another_network(network: Network) -> Network:
    """Another network, at the same time of day."""
    return Network(now_s=network.now_s)


@pytest.fixture(scope="session")
def network_of() -> type[Network]:
    """Return what makes a network: each example of hypothesis needs one of its own."""
    return Network

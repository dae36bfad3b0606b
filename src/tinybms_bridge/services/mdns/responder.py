"""Who answers what in the local network (RFC 6762): takes a free name, tells it, answers for it, and defends it.

Packets in, packets out, and a time at which to be called again; it knows no socket and no clock. On each link it
looks whether the name is taken, says that it wants it (probes), announces what it has, and answers. A name that
belongs to somebody else gets a number; of two that want one at the same moment the RFC says who may have it. Addresses
of this machine never contradict each other, on whichever link they are heard.

Where another program of this machine answers for the host (Avahi, when the machine has the same name), it is left to
that, and looked at now and then; only the services are announced then.
"""

import random
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum

from zeroconf import DNSIncoming, DNSOutgoing, DNSPointer, DNSQuestion, DNSRecord, DNSService

from tinybms_bridge.hal.interfaces import Address
from tinybms_bridge.services.mdns.links import NetworkLink
from tinybms_bridge.services.mdns.records import (
    AAAA,
    ANY,
    EVERY_SERVICE,
    A,
    Records,
    Subject,
    address_of,
    host_name,
    names_of,
    rdata_of,
)

__all__ = ["MDNS_PORT", "Endpoint", "MdnsResponder"]

MDNS_PORT = 5353

_QUERY, _RESPONSE = 0x0000, 0x8400
"""Flags; a response says that it is from who knows (AA)."""
_IN = 1

LOOK_S = 1.0
"""Another program of this machine that begins with us (at boot, when a cable is plugged in) is heard within that."""
PROBE_S = 0.25
PROBES = 3
DEFER_S = 1.0
"""After this the other one, if there is one, answers (RFC 6762, section 8.2)."""
ANNOUNCE_S = 1.0
ANNOUNCEMENTS = 3
REPEAT_S = 1.0
"""No record is sent to all more often (RFC 6762, section 6); to whoever wants its name each ``PROBE_S``."""
SHARED_DELAY_S = (0.02, 0.12)
"""Answers that several may have come at different moments."""
SETTLE_S = 3.0
"""Time for another program of this machine to defend the name, or to give it up."""
RECHECK_S = 60.0
"""How often it is looked whether the other program of this machine still answers for the host."""
LEGACY_TTL_S = 10
"""For programs that ask once from another port, and do not hear when a record is taken back (RFC 6762, section 6.7)."""
CONTESTED = 15
CONTESTED_WITHIN_S = 10.0
CONTESTED_PAUSE_S = 5.0
"""So many conflicts in that time, and it waits that long before it tries another name (RFC 6762, section 9)."""
MOST_PACKETS_PER_S = 100
"""Of a link; a flood of questions must not cost more than that."""
_REMEMBERED = 64
"""Packets of our own, which are heard again: on the same link, and on others that lead to the same network."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Who sent a packet."""

    address: Address
    port: int = MDNS_PORT


class _Phase(Enum):
    LOOKING = "looking"
    PROBING = "probing"
    ANNOUNCED = "announced"
    CHECKING = "checking"
    """As announced, and waiting for the other program of this machine to answer."""


@dataclass(slots=True)
class _Side:
    """One link."""

    link: NetworkLink
    records: Records
    shared: bool = False
    """Whether another program of this machine answers for the host."""
    phase: _Phase = _Phase.LOOKING
    step: int = 0
    due_s: float | None = None
    """When the phase goes on; None: it lasts."""
    pending: dict[DNSRecord, None] = field(default_factory=dict)
    pending_s: float | None = None
    sent_s: dict[DNSRecord, float] = field(default_factory=dict)
    """When each record was last sent to all."""
    second: int = 0
    heard: int = 0
    """Packets in that second."""

    @property
    def answering(self) -> bool:
        return self.phase in (_Phase.ANNOUNCED, _Phase.CHECKING)

    def wait_with(self, answers: Iterable[DNSRecord], until_s: float) -> None:
        """Answer later, together with what waits already."""
        self.pending.update(dict.fromkeys(answers))
        self.pending_s = until_s if self.pending_s is None else min(self.pending_s, until_s)


class MdnsResponder:
    """Announces one subject on all links under one name.

    Args:
        subject: What is announced.
        send: Sends a packet on a link to all, or to one peer.
        uniform: Returns a random number between two.

    """

    def __init__(
        self,
        subject: Subject,
        send: Callable[[NetworkLink, bytes, Endpoint | None], None],
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.conflicts = 0
        """How often somebody else had a name of ours, since the start."""
        self._subject = subject
        self._send = send
        self._uniform = uniform
        self._sides: dict[int, _Side] = {}
        self._own: frozenset[Address] = frozenset()
        self._recent: OrderedDict[bytes, None] = OrderedDict()
        self._conflicts: deque[float] = deque(maxlen=CONTESTED)
        self._contested_s = float("-inf")
        self._host_number = self._instance_number = 1
        self._labels: tuple[bytes, ...] = ()
        self._names = names_of(subject)
        self._take_names()

    @property
    def host(self) -> str:
        """The label in use."""
        return self._names.host

    @property
    def instance(self) -> str:
        """The name of the services in use."""
        return self._names.instance

    @property
    def announced(self) -> tuple[NetworkLink, ...]:
        """The links on which it is announced."""
        return tuple(side.link for side in self._sides.values() if side.answering)

    @property
    def next_s(self) -> float | None:
        """When ``act`` wants to be called; None: not before something else happens."""
        moments = [moment for side in self._sides.values() for moment in (side.due_s, side.pending_s)]
        return min((moment for moment in moments if moment is not None), default=None)

    def contested(self, now_s: float) -> bool:
        """Tell whether somebody claims whatever name is tried."""
        return now_s - self._contested_s < 2 * CONTESTED_PAUSE_S

    def follow(
        self, links: Iterable[NetworkLink], own: Iterable[Address], now_s: float, *, afresh: bool = False
    ) -> None:
        """Take up the links that there are now, and all addresses of this machine.

        ``afresh``: begin as if all were new, because nobody knows what happened meanwhile.
        """
        self._own = frozenset(own)
        present, before = {link.index: link for link in links}, self._sides
        kept = {}
        for index, side in before.items():
            if not afresh and index in present and side.link.is_still(present[index]):
                kept[index] = side
                self._follow_addresses(side, present[index], now_s)
        if not kept and (present or afresh):
            self._host_number = self._instance_number = 1
            self._take_names()
        self._sides = {index: kept.get(index) or self._new(link) for index, link in present.items()}
        for index, side in self._sides.items():
            if index not in kept:
                self._look(side, now_s)

    def _follow_addresses(self, side: _Side, link: NetworkLink, now_s: float) -> None:
        """Tell of other addresses in the same network, in which the name is ours already (RFC 6762, section 8.4)."""
        if side.link.addresses == link.addresses:
            side.link = link
            return
        gone = set(side.link.addresses) - set(link.addresses)
        self._take_back(side, [each for each in side.records.host if address_of(each) in gone])
        side.link = link
        side.records = self._new(link, shared=side.shared).records
        if side.answering:
            side.phase, side.step, side.due_s = _Phase.ANNOUNCED, 0, now_s
        else:
            self._look(side, now_s)

    def act(self, now_s: float) -> None:
        """Do what is due."""
        for side in list(self._sides.values()):
            if side.due_s is not None and side.due_s <= now_s:
                self._go_on(side, now_s)
            if side.pending_s is not None and side.pending_s <= now_s:
                answers, side.pending, side.pending_s = list(side.pending), {}, None
                self._multicast(side, answers, now_s)

    def leave(self) -> None:
        """Take everything back."""
        for side in self._sides.values():
            self._take_back(side, side.records.all)
        self._sides = {}

    def receive(self, index: int, data: bytes, peer: Endpoint, now_s: float) -> bool:
        """Take up a packet that came in on the link of this index; return whether it may be about us at all."""
        side = self._sides.get(index)
        if side is None or not self._concerns(data) or (peer.address in self._own and data in self._recent):
            return False
        if int(now_s) != side.second:
            side.second, side.heard = int(now_s), 0
        side.heard += 1
        if side.heard > MOST_PACKETS_PER_S:
            return False
        packet = DNSIncoming(data)
        if not packet.valid:
            return False
        if packet.is_query():
            left_to_other = packet.is_probe() and self._heard_probe(side, packet, peer, now_s)
            if side.answering:
                self._answer(side, packet, peer, now_s, without_host=left_to_other)
        elif peer.port == MDNS_PORT:
            self._heard_response(side, packet, now_s)
        return True

    # names

    def _take_names(self) -> None:
        self._names = names_of(self._subject, self._host_number, self._instance_number)
        services = Records(self._subject, self._names, ()).lists
        named = {record.key for record in services} | {host_name(self._names.host)}
        self._labels = tuple({name.partition(".")[0].lower().encode() for name in named})

    def _concerns(self, data: bytes) -> bool:
        """Tell whether a packet may name anything of ours: most packets of a network do not, and are not read."""
        lower = data.lower()
        return any(label in lower for label in self._labels)

    def _new(self, link: NetworkLink, *, shared: bool = False) -> _Side:
        addresses = () if shared else link.addresses
        return _Side(link, Records(self._subject, self._names, addresses), shared)

    # what each link goes through

    def _look(self, side: _Side, now_s: float) -> None:
        """Begin: ask whether anybody has the name."""
        self._begin(side, _Phase.LOOKING, now_s + self._uniform(*SHARED_DELAY_S))

    def _begin(self, side: _Side, phase: _Phase, due_s: float) -> None:
        fresh = self._new(side.link, shared=side.shared and phase is _Phase.PROBING)
        side.records, side.shared = fresh.records, fresh.shared
        side.phase, side.step, side.due_s = phase, 0, due_s
        side.pending, side.pending_s, side.sent_s = {}, None, {}

    def _go_on(self, side: _Side, now_s: float) -> None:
        match side.phase:
            case _Phase.LOOKING if side.step == 0:
                self._ask_for_host(side)
                side.step, side.due_s = 1, now_s + LOOK_S
            case _Phase.LOOKING:
                self._begin(side, _Phase.PROBING, now_s)
                self._go_on(side, now_s)
            case _Phase.PROBING if side.step < PROBES:
                self._probe(side)
                side.step, side.due_s = side.step + 1, now_s + PROBE_S
            case _Phase.PROBING:
                side.phase, side.step = _Phase.ANNOUNCED, 0
                self._announce(side, now_s)
            case _Phase.ANNOUNCED if side.step < ANNOUNCEMENTS:
                self._announce(side, now_s)
            case _Phase.ANNOUNCED:
                self._ask_for_host(side)
                side.phase, side.due_s = _Phase.CHECKING, now_s + 2 * LOOK_S
            case _Phase.CHECKING:
                self._look(side, now_s)

    def _announce(self, side: _Side, now_s: float) -> None:
        self._multicast(side, side.records.all, now_s, at_most_each_s=0.0)
        side.step += 1
        if side.step < ANNOUNCEMENTS:
            side.due_s = now_s + ANNOUNCE_S
        else:
            side.due_s = now_s + RECHECK_S if side.shared else None

    def _ask_for_host(self, side: _Side) -> None:
        out = DNSOutgoing(_QUERY)
        for kind in (A, AAAA):
            out.add_question(DNSQuestion(host_name(self._names.host), kind, _IN))
        self._emit(side, out, remember=False)  # another bridge on this machine asks by the same bytes

    def _probe(self, side: _Side) -> None:
        """Say which names are wanted, and for what."""
        out = DNSOutgoing(_QUERY)
        for name in dict.fromkeys(record.name for record in side.records.wanted):
            # To all: beside another responder of this machine an answer to us alone may reach that instead.
            out.add_question(DNSQuestion(name, ANY, _IN))
        out.authorities.extend(side.records.wanted)  # type: ignore[arg-type]  # its own probes have pointers only
        self._emit(side, out)

    def _take_back(self, side: _Side, records: list[DNSRecord]) -> None:
        """Tell that some records are no more, if they were told at all."""
        addresses = () if side.shared else side.link.addresses
        ended = Records(self._subject, self._names, addresses, longest_s=0).all
        out = DNSOutgoing(_RESPONSE)
        for record in ended:
            if record in records and record.key != EVERY_SERVICE:  # others have such services, too
                out.add_answer_at_time(record, 0)
        if out.answers and side.answering:
            self._emit(side, out)

    # what others say

    def _heard_response(self, side: _Side, packet: DNSIncoming, now_s: float) -> None:
        records, said, host_taken, instance_taken = side.records, set[bool](), False, False
        for record in packet.answers():
            if record.key == records.host_key and (address := address_of(record)) is not None:
                if address in self._own:
                    said.add(record.ttl > 0)
                elif record.ttl > 0:
                    host_taken = True
            elif record.key in records.instance_keys and isinstance(record, DNSService) and record.ttl > 0:
                instance_taken |= rdata_of(record) not in map(rdata_of, records.instances)
        if host_taken or instance_taken:
            self._conflict(side, now_s, host=host_taken, instance=instance_taken)
        elif True in said:
            self._answered_by_machine(side, now_s)
        elif False in said:
            self._taken_back_by_machine(side, now_s)

    def _answered_by_machine(self, side: _Side, now_s: float) -> None:
        """Another program of this machine answers for the host."""
        if not side.answering:
            self._leave_host_to_other(side)
        elif side.phase is _Phase.CHECKING:
            side.phase, side.due_s = _Phase.ANNOUNCED, now_s + RECHECK_S

    def _taken_back_by_machine(self, side: _Side, now_s: float) -> None:
        """Another program of this machine has ended: the addresses are still right."""
        if side.shared:
            self._look(side, now_s)
        elif side.answering:
            side.step, side.due_s = ANNOUNCEMENTS - 1, now_s + self._uniform(*SHARED_DELAY_S)

    def _leave_host_to_other(self, side: _Side) -> None:
        side.shared = True
        side.records = self._new(side.link, shared=True).records
        side.pending = {record: None for record in side.pending if record in side.records.all}

    def _heard_probe(self, side: _Side, packet: DNSIncoming, peer: Endpoint, now_s: float) -> bool:
        """Take up that somebody wants names; return whether it is another program of this machine for the host."""
        theirs = packet.answers()
        addresses = [address for each in theirs if each.key == side.records.host_key and (address := address_of(each))]
        by_machine = bool(addresses) and peer.address in self._own and self._own.issuperset(addresses)
        if side.phase is _Phase.PROBING:
            contested = {each.key for each in side.records.wanted} - ({side.records.host_key} if by_machine else set())
            if any(_loses(key, side.records.wanted, theirs) for key in contested):
                side.step, side.due_s = 0, now_s + DEFER_S
        elif by_machine and not side.shared:
            self._leave_host_to_other(side)
            if side.answering:
                side.due_s = now_s + RECHECK_S if side.step >= ANNOUNCEMENTS else side.due_s
        return by_machine

    def _conflict(self, side: _Side, now_s: float, *, host: bool, instance: bool) -> None:
        """Somebody else has a name: want it anew where it was ours, else choose another one, on all links."""
        self.conflicts += 1
        self._conflicts.append(now_s)
        pause_s, many = 0.0, len(self._conflicts) == CONTESTED and now_s - self._conflicts[0] < CONTESTED_WITHIN_S
        if many or self.contested(now_s):
            pause_s, self._contested_s = CONTESTED_PAUSE_S, now_s
        if side.answering and host and side.shared:  # the other program settles that, and then we look
            self._look(side, now_s + pause_s + SETTLE_S)
            return
        if side.answering:
            self._begin(side, _Phase.PROBING, now_s + pause_s + self._uniform(0.0, PROBE_S))
            return
        for each in self._sides.values():
            self._take_back(each, each.records.all)
        self._host_number += host
        self._instance_number += instance
        self._take_names()
        for each in self._sides.values():
            self._look(each, now_s + pause_s)

    # answers

    def _answer(self, side: _Side, packet: DNSIncoming, peer: Endpoint, now_s: float, *, without_host: bool) -> None:
        legacy = peer.port != MDNS_PORT
        records = side.records
        if legacy:
            addresses = () if side.shared else side.link.addresses
            records = Records(self._subject, self._names, addresses, longest_s=LEGACY_TTL_S)
        found = dict.fromkeys(
            record
            for question in packet.questions
            for record in records.answers(question)
            if not (without_host and record.key == records.host_key) and not record.suppressed_by(packet)
        )
        if not found:
            return
        if legacy:
            self._answer_once(side, records, list(found), packet, peer)
        elif packet.is_probe():
            self._multicast(side, list(found), now_s, at_most_each_s=PROBE_S)
        elif packet.has_qu_question() and all(_is_recent(side, record, now_s) for record in found):
            self._emit(side, self._response(records, list(found)), peer)
        elif any(isinstance(record, DNSPointer) for record in found):
            side.wait_with(found, now_s + self._uniform(*SHARED_DELAY_S))
        else:
            self._multicast(side, list(found), now_s)

    def _answer_once(
        self, side: _Side, records: Records, answers: list[DNSRecord], packet: DNSIncoming, peer: Endpoint
    ) -> None:
        out = DNSOutgoing(_RESPONSE, multicast=False, id_=packet.id)
        for question in dict.fromkeys(packet.questions):
            if records.answers(question):  # others may have names that cannot even be written
                out.add_question(question)
        self._emit(side, self._response(records, answers, out), peer)

    def _multicast(self, side: _Side, answers: list[DNSRecord], now_s: float, at_most_each_s: float = REPEAT_S) -> None:
        """Tell all; what they were told a moment ago they are told again a moment later."""
        free_s = {each: side.sent_s.get(each, float("-inf")) + at_most_each_s for each in answers}
        due = [each for each in answers if free_s[each] <= now_s]
        if due:
            side.sent_s.update(dict.fromkeys(due, now_s))
            self._emit(side, self._response(side.records, due))
        late_s = {each: at_s for each, at_s in free_s.items() if at_s > now_s}
        if late_s:
            side.wait_with(late_s, min(late_s.values()))

    @staticmethod
    def _response(records: Records, answers: list[DNSRecord], out: DNSOutgoing | None = None) -> DNSOutgoing:
        out = out or DNSOutgoing(_RESPONSE)
        for record in answers:
            out.add_answer_at_time(record, 0)
        for record in records.beside(answers):
            out.add_additional_answer(record)
        return out

    def _emit(self, side: _Side, out: DNSOutgoing, peer: Endpoint | None = None, *, remember: bool = True) -> None:
        for data in out.packets():
            if remember:
                self._recent[data] = None
                self._recent.move_to_end(data)
                if len(self._recent) > _REMEMBERED:
                    self._recent.popitem(last=False)
            self._send(side.link, data, peer)


def _is_recent(side: _Side, record: DNSRecord, now_s: float) -> bool:
    """Tell whether all have heard a record lately, so that one alone may be answered (RFC 6762, section 5.4)."""
    return now_s - side.sent_s.get(record, float("-inf")) < record.ttl / 4


def _loses(key: str, ours: list[DNSRecord], theirs: list[DNSRecord]) -> bool:
    """Tell whether of two who want a name the other one may have it: whose data is greater (RFC 6762, section 8.2)."""
    other = sorted(data for each in theirs if each.key == key and (data := rdata_of(each)))
    return bool(other) and sorted(rdata_of(each) for each in ours if each.key == key) < other

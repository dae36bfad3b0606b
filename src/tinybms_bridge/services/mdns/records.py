"""The records that tell of the web server on one link: addresses of the host, and the two services on it (RFC 6763)."""

import ipaddress
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from zeroconf import DNSAddress, DNSNsec, DNSPointer, DNSQuestion, DNSRecord, DNSService, DNSText

from tinybms_bridge.hal.interfaces import Address

__all__ = [
    "AAAA",
    "ANY",
    "EVERY_SERVICE",
    "OWN_SERVICE",
    "A",
    "Names",
    "Records",
    "Subject",
    "address_of",
    "host_name",
    "names_of",
    "numbered",
    "rdata_of",
]

A, PTR, TXT, AAAA, SRV, NSEC, ANY = 1, 12, 16, 28, 33, 47, 255

_IN, _IN_UNIQUE = 1, 0x8001
"""Class of a record that several may have, and of one that one responder alone may have."""
_HOST_TTL_S, _OTHER_TTL_S = 120, 4500
"""RFC 6762, section 10: what names or follows from a host is known for two minutes, the rest for 75."""
_LONGEST_LABEL = 63
EVERY_SERVICE = "_services._dns-sd._udp.local."
"""Whoever asks for it is told what services there are."""
OWN_SERVICE = "_tinybms-bridge._tcp.local."
"""By which programs find bridges, whether they speak HTTP or HTTPS."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is announced."""

    host: str
    """Wanted label of the host."""
    instance: str
    """Wanted name of the services."""
    port: int
    encrypted: bool = False
    """Whether the server speaks HTTPS."""
    version: str = ""
    """Empty for none."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names in use, which are the wanted ones until somebody else has them."""

    host: str
    """Label before ``.local``."""
    instance: str


def numbered(label: str, number: int, form: str = "-{}") -> str:
    """Return the label to try at this number: the wanted one first, then with 2 and so on; none is too long."""
    tail = form.format(number) if number > 1 else ""
    return label.encode()[: _LONGEST_LABEL - len(tail)].decode(errors="ignore") + tail


def names_of(subject: Subject, host_number: int = 1, instance_number: int = 1) -> Names:
    """Return the names to try at these numbers."""
    instance = re.sub(r"[\x00-\x1F\x7F]", "", subject.instance).replace(
        ".", "\N{MIDDLE DOT}"
    )  # a full stop ends a label
    return Names(numbered(subject.host, host_number), numbered(instance, instance_number, " ({})"))


def host_name(label: str) -> str:
    """Return the whole name of a host."""
    return f"{label}.local."


def rdata_of(record: DNSRecord) -> bytes:
    """Return what a record says, so that it compares as RFC 6762, section 8.2, wants; nothing of other kinds."""
    if isinstance(record, DNSAddress):
        data = record.address
    elif isinstance(record, DNSService):
        labels = [label.encode()[:_LONGEST_LABEL] for label in record.server.rstrip(".").split(".")]
        wire = b"".join(bytes([len(label)]) + label for label in labels)
        data = struct.pack(">HHH", record.priority, record.weight, record.port) + wire + b"\0"
    elif isinstance(record, DNSText):
        data = record.text
    else:
        return b""
    return struct.pack(">HH", record.class_, record.type) + data


def address_of(record: DNSRecord) -> Address | None:
    """Return the address in a record; None in one that has none."""
    try:
        return ipaddress.ip_address(record.address) if isinstance(record, DNSAddress) else None
    except ValueError:
        return None


class Records:
    """All records of one link under the names in use.

    Args:
        subject: What is announced.
        names: The names in use.
        addresses: Of the host on this link; none where another program of this machine answers for the host.
        longest_s: Greatest time to live; 0 takes the records back.

    """

    def __init__(
        self, subject: Subject, names: Names, addresses: Iterable[Address], longest_s: int = _OTHER_TTL_S
    ) -> None:
        host, short_s, long_s = host_name(names.host), min(_HOST_TTL_S, longest_s), min(_OTHER_TTL_S, longest_s)
        self.host_key = host.lower()
        self.host: list[DNSRecord] = []
        """A, AAAA, and an NSEC where there is only one of them, so that nobody waits for the other."""
        self.instances: list[DNSRecord] = []
        """SRV and TXT of both services."""
        self.lists: list[DNSRecord] = []
        """PTR: what services there are; other machines may have the same."""
        for address in addresses:
            kind = A if address.version == 4 else AAAA
            self.host.append(DNSAddress(host, kind, _IN_UNIQUE, short_s, address.packed))
        kinds = {record.type for record in self.host}
        if len(kinds) == 1:
            self.host.append(DNSNsec(host, NSEC, _IN_UNIQUE, short_s, host, list(kinds)))
        pages = f"_http{'s' if subject.encrypted else ''}._tcp.local."
        own = {"version": subject.version, "path": "/"}
        for service, texts in ((pages, {"path": "/"}), (OWN_SERVICE, own)):
            name = f"{names.instance}.{service}"
            self.instances.append(DNSService(name, SRV, _IN_UNIQUE, short_s, 0, 0, subject.port, host))
            self.instances.append(DNSText(name, TXT, _IN_UNIQUE, long_s, _text(texts)))
            self.lists.append(DNSPointer(service, PTR, _IN, long_s, name))
            self.lists.append(DNSPointer(EVERY_SERVICE, PTR, _IN, long_s, service))
        self.wanted = [record for record in (*self.host, *self.instances) if rdata_of(record)]
        """What nobody else may have."""
        self.instance_keys = {record.key for record in self.instances}

    @property
    def all(self) -> list[DNSRecord]:
        """Every record, as they are announced."""
        return [*self.lists, *self.instances, *self.host]

    def answers(self, question: DNSQuestion) -> list[DNSRecord]:
        """Return the answers to a question."""
        found = [record for record in self.all if _is_for(question, record)]
        if question.type in (A, AAAA) and not found and question.key == self.host_key:
            found = [record for record in self.host if isinstance(record, DNSNsec)]
        return found

    def beside(self, answers: Iterable[DNSRecord]) -> list[DNSRecord]:
        """Return what whoever got these answers would ask for next (RFC 6763, section 12)."""
        given = list(answers)
        wanted = [other for answer in given for other in self._next(answer)]
        return [record for record in dict.fromkeys(wanted) if record not in given]

    def _next(self, answer: DNSRecord) -> Iterator[DNSRecord]:
        if isinstance(answer, DNSPointer):
            named = [record for record in self.instances if record.key == answer.alias_key]
            yield from named
            if named:
                yield from self.host
        elif isinstance(answer, DNSService) or answer.key == self.host_key:
            yield from self.host


def _is_for(question: DNSQuestion, record: DNSRecord) -> bool:
    return question.type in (ANY, record.type) and question.class_ in (_IN, ANY) and question.key == record.key


def _text(values: dict[str, str]) -> bytes:
    """Return what a TXT record says; nothing of what is empty."""
    texts = [f"{key}={value}".encode()[:255] for key, value in values.items() if value]
    return b"".join(bytes([len(text)]) + text for text in texts)
